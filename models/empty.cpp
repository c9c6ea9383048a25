namespace fettle {}
