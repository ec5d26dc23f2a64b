raise RuntimeError("this pack cannot be built")
