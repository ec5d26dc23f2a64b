module berth/bridge

go 1.23
