start = 上船前，来点什么？
