// oidc-provider on a port of 127.0.0.1, with two routes beside its own: POST /peer/rotate signs with
// a new key from then on, POST /peer/retire takes back the old ones. Its tokens are JSON Web Tokens
// for the resources of `signed`, and opaque for that of `opaque`.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const signed = { 'https://api.example.com': 'RS256', 'https://curves.example.com': 'ES256' };
const opaque = 'https://opaque.example.com';

let rotations = 0;

function makeKeys() {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  };
  rotations += 1;
  return Object.entries(pairs).map(([alg, { privateKey }]) => ({
    ...privateKey.export({ format: 'jwk' }),
    alg,
    kid: `${alg}-${rotations}`,
    use: 'sig',
  }));
}

let current = makeKeys();
let old = [];

function makeProvider() {
  const kids = Object.fromEntries(current.map(({ alg, kid }) => [alg, kid]));
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'service',
        client_secret: 'a-secret-of-the-service-that-is-long-enough',
        grant_types: ['client_credentials', 'authorization_code'],
        redirect_uris: ['https://app.example.com/callback'],
        response_types: ['code'],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, _client, oneOf) => oneOf ?? 'https://api.example.com',
        getResourceServerInfo: (_context, resource) => {
          const common = { scope: 'orders:read orders:write', accessTokenTTL: 3600 };
          if (resource === opaque) return { ...common, accessTokenFormat: 'opaque' };
          const alg = signed[resource];
          return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg, kid: kids[alg] } } };
        },
        useGrantedResource: () => true,
      },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    jwks: { keys: [...current, ...old] },
    cookies: { keys: ['one process, one test run'] },
  });
  return provider.callback();
}

let handle = makeProvider();

createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/peer/')) {
    if (request.url === '/peer/rotate') {
      old = current;
      current = makeKeys();
    } else {
      old = [];
    }
    handle = makeProvider();
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(current.map(({ kid }) => kid)));
    return;
  }
  handle(request, response);
}).listen(port, '127.0.0.1');
