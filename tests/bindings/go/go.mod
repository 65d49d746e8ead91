module ampoule/claims

go 1.24
