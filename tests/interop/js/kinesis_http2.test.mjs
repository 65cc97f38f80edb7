/* kinesis_http2.test.mjs - the client's own choice: HTTP/2 with prior knowledge. */
import { kinesisTests } from "./kinesis.mjs";

kinesisTests("HTTP/2");
