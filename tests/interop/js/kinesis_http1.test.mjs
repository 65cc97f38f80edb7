/* kinesis_http1.test.mjs - the same over HTTP/1.1, as behind many proxies. */
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { kinesisTests } from "./kinesis.mjs";

kinesisTests("HTTP/1.1", () => ({ requestHandler: new NodeHttpHandler() }));
