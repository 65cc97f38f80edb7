# Libraries the local AWS needs beside the wire library.
LIBS_local-aws := -ljansson -lsqlite3
