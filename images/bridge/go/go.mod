module berth/bridge

go 1.24
