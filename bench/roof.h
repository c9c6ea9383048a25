// What this machine can do at most, measured: the figures of the other benchmarks are percentages
// of these.
#pragma once

namespace fettle {

/// The best FLOP/s of independent fp32 multiply-adds that stay in registers (each counts two), on
/// all threads of kernels/parallel.h.
double measured_fma_peak();

/// The best bytes/s of a[i] = b[i] + scalar * c[i] on arrays far beyond any cache, on all threads
/// of kernels/parallel.h: two arrays read and one written, the best of ordinary stores and of those
/// that go past the caches. As in McCalpin's STREAM, a line that is read only to be written over
/// does not count.
double measured_triad();

}  // namespace fettle
