-- What wrk sends: the body of POST /record, to kpipe and to nginx alike.
wrk.method = "POST"
wrk.body = '{"data":"{\\"ticker\\":\\"AMZN\\",\\"price\\":52.17}","partitionKey":"AMZN"}'
wrk.headers["Content-Type"] = "application/json"
