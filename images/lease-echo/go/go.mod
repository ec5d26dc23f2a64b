module berth/echo

go 1.24
