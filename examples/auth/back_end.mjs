// An authentication back end with nothing but Node.
//
//   node back_end.mjs 3000
//   smproxy serve --auth-uri http://localhost:3000

import { createServer } from "node:http";
import { text } from "node:stream/consumers";

// Where yours looks into a database.
const PASSWORDS = { ann: "an example" };
const PUBLISHERS = new Set(["ann"]);

const live = new Set();

const routes = {
  // May this user publish ("publisher") or watch ("subscriber") this stream?
  "POST /validateCredentials": ({ type, username, password, streamID }) => {
    const known = Object.hasOwn(PASSWORDS, username) && PASSWORDS[username] === password;
    const result = known && (type === "subscriber" || PUBLISHERS.has(username));
    if (result && type === "publisher") live.add(streamID);
    return { result };
  },
  // The stream of a publisher that was allowed has ended.
  "POST /invalidateCredentials": ({ streamID }) => {
    live.delete(streamID);
    return { result: true };
  },
  "GET /live": () => [...live].sort(),
};

const server = createServer(async (request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  let status = 404;
  let answer = {};
  try {
    const body = await text(request);
    if (route) [status, answer] = [200, route(body ? JSON.parse(body) : {})];
  } catch {
    status = 400;
  }
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
});

server.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
