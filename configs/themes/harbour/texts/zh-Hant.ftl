start = 上船前，來點什麼？
