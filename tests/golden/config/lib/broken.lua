return { = 5 }
