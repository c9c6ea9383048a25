#include "io/hdf5_file.h"

#include "engine/error.h"

#ifdef FETTLE_HDF5

#include <hdf5.h>

#include <algorithm>
#include <utility>

namespace fettle {
namespace {

/// An object of the library, closed when it goes out of scope.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

constexpr hsize_t max_members = 100'000;
constexpr hsize_t max_elements = hsize_t{1} << 32;
constexpr int max_axes = 6;
constexpr size_t max_text = 4096;  // bytes of one name

herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

class Hdf5File::Library {
 public:
  explicit Library(const std::string& path) : path_(path), file_(open(path)) {
    require(file_.valid(), "'", path, "' is not a whole HDF5 file: it cannot be opened");
  }

  hid_t file() const { return file_; }

  void check(bool right, const std::string& object, const char* why) const {
    require(right, "'", object, "' in '", path_, "' ", why);
  }

  /// Whether the object is there. Every link on the way must be hard.
  bool exists(const std::string& object) const {
    if (object == "/") return true;
    for (size_t end = 0; end != std::string::npos;) {
      end = object.find('/', end + 1);
      const std::string part = object.substr(0, end);
      if (H5Lexists(file_, part.c_str(), H5P_DEFAULT) <= 0) return false;
      H5L_info_t info;
      check(H5Lget_info(file_, part.c_str(), &info, H5P_DEFAULT) >= 0, part, "cannot be read");
      check(info.type == H5L_TYPE_HARD, part,
            "is a link to somewhere else, which weights may not be; write them anew, in one file");
    }
    return true;
  }

  Handle open_object(const std::string& object) const {
    check(exists(object), object, "is missing");
    Handle handle(H5Oopen(file_, object.c_str(), H5P_DEFAULT), H5Oclose);
    check(handle.valid(), object, "cannot be read");
    return handle;
  }

  H5I_type_t kind(const std::string& object) const { return H5Iget_type(open_object(object)); }

  /// A dataset of which everything lies in this file.
  Handle open_dataset(const std::string& name) const {
    Handle data = open_object(name);
    check(H5Iget_type(data) == H5I_DATASET, name, "is not a dataset");
    const Handle creation(H5Dget_create_plist(data), H5Pclose);
    check(creation.valid(), name, "cannot be read");
    check(H5Pget_layout(creation) != H5D_VIRTUAL && H5Pget_external_count(creation) == 0, name,
          "keeps its data in other files, which weights may not do; write them anew, in one file");
    return data;
  }

  /// The extents, checked against what is stored.
  std::vector<hsize_t> extents(const std::string& name, hid_t data) const {
    const Handle space(H5Dget_space(data), H5Sclose);
    const int axes = space.valid() ? H5Sget_simple_extent_ndims(space) : -1;
    check(axes >= 0 && axes <= max_axes, name, "has no shape that weights have");
    std::vector<hsize_t> extents(static_cast<size_t>(axes));
    check(H5Sget_simple_extent_dims(space, extents.data(), nullptr) == axes, name,
          "cannot be read");
    const Handle type(H5Dget_type(data), H5Tclose);
    hsize_t bytes = type.valid() ? H5Tget_size(type) : 0;
    check(bytes > 0, name, "cannot be read");
    for (const hsize_t extent : extents) {
      check(extent <= max_elements && !__builtin_mul_overflow(bytes, extent, &bytes), name,
            "has a shape too large for weights");
    }
    check(bytes <= H5Dget_storage_size(data), name,
          "has a shape that says more than is stored; weights may neither lack data nor be "
          "compressed");
    return extents;
  }

 private:
  static Handle open(const std::string& path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // errors become exceptions here
    H5PLset_loading_state(0);
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    return {H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose};
  }

  std::string path_;
  Handle file_;
};

bool Hdf5File::available() {
  return true;
}

Hdf5File::Hdf5File(const std::string& path)
    : path_(path), library_(std::make_shared<Library>(path)) {}

std::vector<std::string> Hdf5File::members(const std::string& group) const {
  const Handle handle = library_->open_object(group);
  H5G_info_t info;
  library_->check(H5Iget_type(handle) == H5I_GROUP && H5Gget_info(handle, &info) >= 0, group,
                  "is not a group");
  library_->check(info.nlinks <= max_members, group, "has too many members");
  std::vector<std::string> names;
  const herr_t done = H5Literate(handle, H5_INDEX_NAME, H5_ITER_INC, nullptr, append_name, &names);
  library_->check(done >= 0, group, "cannot be read");
  return names;
}

bool Hdf5File::exists(const std::string& object) const {
  return library_->exists(object);
}

bool Hdf5File::is_group(const std::string& object) const {
  return library_->kind(object) == H5I_GROUP;
}

bool Hdf5File::is_float(const std::string& dataset) const {
  const Handle data = library_->open_dataset(dataset);
  const Handle type(H5Dget_type(data), H5Tclose);
  return type.valid() && H5Tget_class(type) == H5T_FLOAT;
}

std::vector<int64_t> Hdf5File::shape(const std::string& dataset) const {
  const Handle data = library_->open_dataset(dataset);
  const std::vector<hsize_t> extents = library_->extents(dataset, data);
  return {extents.begin(), extents.end()};
}

std::vector<float> Hdf5File::read(const std::string& dataset) const {
  const Handle data = library_->open_dataset(dataset);
  size_t count = 1;
  for (const hsize_t extent : library_->extents(dataset, data)) count *= extent;
  std::vector<float> values(count);
  const herr_t done = H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  library_->check(done >= 0, dataset, "cannot be read as numbers");
  return values;
}

std::optional<std::vector<std::string>> Hdf5File::texts(const std::string& object,
                                                        const std::string& attribute) const {
  const Handle holder = library_->open_object(object);
  if (H5Aexists(holder, attribute.c_str()) <= 0) return std::nullopt;
  const std::string name = object + " @" + attribute;
  const Handle handle(H5Aopen(holder, attribute.c_str(), H5P_DEFAULT), H5Aclose);
  library_->check(handle.valid(), name, "cannot be read");
  const Handle space(H5Aget_space(handle), H5Sclose), type(H5Aget_type(handle), H5Tclose);
  const hssize_t count = space.valid() ? H5Sget_simple_extent_npoints(space) : -1;
  library_->check(type.valid() && count >= 0 && count <= hssize_t{max_members}, name,
                  "cannot be read");
  if (count == 0) return std::vector<std::string>();
  library_->check(H5Tget_class(type) == H5T_STRING, name, "is not a list of names");
  std::vector<std::string> texts;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(static_cast<size_t>(count));
    library_->check(H5Aread(handle, type, pointers.data()) >= 0, name, "cannot be read");
    for (const char* text : pointers) texts.emplace_back(text ? text : "");
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
    return texts;
  }
  const size_t size = H5Tget_size(type);
  library_->check(size > 0 && size <= max_text, name, "is not a list of names");
  std::vector<char> bytes(static_cast<size_t>(count) * size);
  library_->check(H5Aread(handle, type, bytes.data()) >= 0, name, "cannot be read");
  for (auto at = bytes.begin(); at != bytes.end(); at += static_cast<std::ptrdiff_t>(size)) {
    const auto end = at + static_cast<std::ptrdiff_t>(size);
    texts.emplace_back(at, std::find(at, end, '\0'));
  }
  return texts;
}

}  // namespace fettle

#else

namespace fettle {

class Hdf5File::Library {};

bool Hdf5File::available() {
  return false;
}

Hdf5File::Hdf5File(const std::string& path) : path_(path) {
  throw Error("'", path,
              "' is an HDF5 file, and this fettle was built without the HDF5 library: install "
              "libhdf5-dev, configure and build again");
}

std::vector<std::string> Hdf5File::members(const std::string&) const {
  return {};
}
bool Hdf5File::exists(const std::string&) const {
  return false;
}
bool Hdf5File::is_group(const std::string&) const {
  return false;
}
bool Hdf5File::is_float(const std::string&) const {
  return false;
}
std::vector<int64_t> Hdf5File::shape(const std::string&) const {
  return {};
}
std::vector<float> Hdf5File::read(const std::string&) const {
  return {};
}
std::optional<std::vector<std::string>> Hdf5File::texts(const std::string&,
                                                        const std::string&) const {
  return std::nullopt;
}

}  // namespace fettle

#endif
