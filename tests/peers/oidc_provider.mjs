// oidc-provider on a port of 127.0.0.1, with routes beside its own: POST /peer/rotate signs with a
// new key from then on, POST /peer/retire takes back the old ones, POST /peer/clients adds clients,
// and POST /peer/alter says how its answers are altered on their way. Its tokens are JSON Web Tokens
// for the resources of `signed`, and opaque for that of `opaque` and for the clients that are added.

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
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
let added = [];
let alteration = {};

// What a provider keeps, for the next one as well, which has other keys or clients.
const kept = new Map();

class Kept {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload) {
    kept.set(`${this.model} ${id}`, payload);
  }

  async find(id) {
    return kept.get(`${this.model} ${id}`);
  }

  async findByUid(uid) {
    return [...kept.values()].find((payload) => payload.kind === this.model && payload.uid === uid);
  }

  async consume(id) {
    kept.get(`${this.model} ${id}`).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(`${this.model} ${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
  }
}

function makeProvider() {
  const kids = Object.fromEntries(current.map(({ alg, kid }) => [alg, kid]));
  const provider = new Provider(issuer, {
    adapter: Kept,
    clients: [
      {
        client_id: 'service',
        client_secret: 'a-secret-of-the-service-that-is-long-enough',
        grant_types: ['client_credentials', 'authorization_code'],
        redirect_uris: ['https://app.example.com/callback'],
        response_types: ['code'],
      },
      ...added,
    ],
    claims: { email: ['email', 'email_verified'], profile: ['name'] },
    // Its guard against requests to the machine itself would keep it from telling anybody here.
    fetch: (url, { dispatcher, body, ...options }) => {
      const form = new URLSearchParams(body);
      if (alteration.logout_token && form.has('logout_token')) {
        form.set('logout_token', forged(form.get('logout_token'), alteration.logout_token));
      }
      return globalThis.fetch(url, { ...options, body: form });
    },
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, client, oneOf) =>
          oneOf ?? (client.clientId === 'service' ? 'https://api.example.com' : undefined),
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
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }),
    }),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    jwks: { keys: [...current, ...old] },
    cookies: { keys: ['one process, one test run'] },
  });
  return provider.callback();
}

let handle = makeProvider();

function encoded(part) {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function decoded(part) {
  return JSON.parse(Buffer.from(part, 'base64url'));
}

function changed(object, { set = {}, drop = [] } = {}) {
  const kept = Object.entries(object).filter(([name]) => !drop.includes(name));
  return { ...Object.fromEntries(kept), ...set };
}

// An ID token that says something else; `signature` is what it is signed with.
function forged(token, { header, claims, signature = 'own' }) {
  const [oldHeader, oldClaims, oldSignature] = token.split('.');
  const payload = changed(decoded(oldClaims), claims);
  const text = `${encoded(changed(decoded(oldHeader), header))}.${encoded(payload)}`;
  const own = createPrivateKey({ key: current.find(({ alg }) => alg === 'RS256'), format: 'jwk' });
  const hashed = (secret) => createHmac('sha256', secret).update(text).digest('base64url');
  const made = {
    own: () => sign('RSA-SHA256', Buffer.from(text), own).toString('base64url'),
    other: () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      return sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url');
    },
    kept: () => oldSignature,
    none: () => '',
    secret: () => hashed(added.find(({ client_id: id }) => id === [payload.aud].flat()[0]).client_secret),
    public: () => hashed(createPublicKey(own).export({ format: 'pem', type: 'spki' })),
  };
  return `${text}.${made[signature]()}`;
}

function altered(path, body) {
  if (path === '/token' && body.access_token) {
    const made = changed(body, alteration.token);
    if (alteration.id_token && made.id_token) made.id_token = forged(made.id_token, alteration.id_token);
    return made;
  }
  if (path === '/me' && alteration.userinfo) return changed(body, alteration.userinfo);
  if (path.startsWith('/.well-known/')) return changed(body, alteration.metadata);
  return body;
}

// Lets an answer through as it is told to.
function watch(request, response) {
  const path = request.url.split('?')[0];
  const end = response.end.bind(response);
  response.end = (body, ...rest) => {
    const type = String(response.getHeader('Content-Type'));
    if (Object.keys(alteration).length === 0 || !body || !type.startsWith('application/json')) {
      return end(body, ...rest);
    }
    const text = JSON.stringify(altered(path, JSON.parse(body)));
    response.setHeader('Content-Length', Buffer.byteLength(text));
    return end(text);
  };
}

const told = {
  '/peer/rotate': () => {
    old = current;
    current = makeKeys();
  },
  '/peer/retire': () => {
    old = [];
  },
  '/peer/clients': (clients) => {
    added = [...added, ...clients];
  },
  '/peer/alter': (how) => {
    alteration = how;
  },
};

createServer(async (request, response) => {
  const tell = request.method === 'POST' && told[request.url];
  if (tell) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    tell(chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined);
    if (request.url !== '/peer/alter') handle = makeProvider();
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(current.map(({ kid }) => kid)));
    return;
  }
  watch(request, response);
  handle(request, response);
}).listen(port, '127.0.0.1');
