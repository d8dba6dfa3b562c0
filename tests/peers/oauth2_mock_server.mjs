// oauth2-mock-server on a port of 127.0.0.1, with three routes beside its own:
// POST /forge signs what it is told to, POST /rotate signs with a new key from then on, and
// POST /retire takes back the old ones. It has no way to remove a key from its own /jwks; so its
// metadata name /keys, which leaves out those that were taken back.

import { OAuth2Server } from 'oauth2-mock-server';

const port = Number(process.argv[2]);
const server = new OAuth2Server();
let current = await server.issuer.keys.generate('RS256');
let retired = new Set();

function answer(response, body) {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}

server.service.on('beforeWellKnownOpenIdConfiguration', (metadata) => {
  metadata.body.jwks_uri = `${server.issuer.url}/keys`;
});

server.service.addRoute('GET', '/keys', (request, response) => {
  const keys = server.issuer.keys.toJSON().filter((key) => !retired.has(key.kid));
  answer(response, { keys });
});

server.service.addRoute('POST', '/forge', async (request, response) => {
  const { header = {}, payload = {} } = request.body ?? {};
  const token = await server.issuer.buildToken({
    kid: current.kid,
    scopesOrTransform: (ownHeader, ownPayload) => {
      Object.assign(ownHeader, header);
      Object.assign(ownPayload, payload);
    },
  });
  answer(response, { token });
});

server.service.addRoute('POST', '/rotate', async (request, response) => {
  const { algorithm = 'RS256' } = request.body ?? {};
  current = await server.issuer.keys.generate(algorithm);
  answer(response, { kid: current.kid });
});

server.service.addRoute('POST', '/retire', (request, response) => {
  const old = server.issuer.keys.toJSON().filter((key) => key.kid !== current.kid);
  retired = new Set(old.map((key) => key.kid));
  answer(response, { retired: [...retired] });
});

await server.start(port, '127.0.0.1');
server.issuer.url = `http://127.0.0.1:${port}`;
