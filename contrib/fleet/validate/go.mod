module github.com/mpull/mpull/contrib/fleet/validate

go 1.26.0
