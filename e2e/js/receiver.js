// A webhook endpoint written with Microsoft's SDK: it answers both handshakes,
// deserializes what it gets, and prints one line of JSON for each request.
"use strict";
const http = require("node:http");
const { EventGridDeserializer } = require("@azure/eventgrid");

const consumer = new EventGridDeserializer();
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

async function deserialize(path, body) {
  if (path.startsWith("/cloud/")) return consumer.deserializeCloudEvents(body);
  if (path.startsWith("/grid/")) return consumer.deserializeEventGridEvents(body);
  return JSON.parse(body);
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  if (request.method === "OPTIONS") {
    response.setHeader("WebHook-Allowed-Origin", request.headers["webhook-request-origin"] ?? "");
    response.end();
    return;
  }
  try {
    if (request.headers["aeg-event-type"] === "SubscriptionValidation") {
      // Validation comes in the Event Grid schema, whatever is delivered later.
      const [event] = await consumer.deserializeEventGridEvents(body);
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ validationResponse: event.data.validationCode }));
      return;
    }
    print({ path: request.url, headers: request.headers, events: await deserialize(request.url, body) });
    response.statusCode = 200;
  } catch (error) {
    print({ path: request.url, headers: request.headers, error: String(error), body });
    response.statusCode = 400;
  }
  response.end();
});
server.listen(0, "127.0.0.1", () => print({ listening: `http://127.0.0.1:${server.address().port}` }));
process.stdin.on("end", () => process.exit(0)).resume(); // ends with the test
