start = Hungry before you sail?
