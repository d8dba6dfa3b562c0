// openid-client, which is certified, as each kind of client that the authorization server has.

import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { Browser, judge, refusedAs, told } from './judging.mjs';

const { issuer, audience, callback, clients, users } = told;
const scope = 'openid email offline_access orders:read';

const proofs = {
  none: () => client.None(),
  client_secret_basic: ({ secret }) => client.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => client.ClientSecretPost(secret),
  private_key_jwt: ({ key, kid }) => ({ key, kid }),
};

async function configure(name) {
  const { id, method, secret, jwk } = clients[name];
  let proof;
  if (method === 'private_key_jwt') {
    const { kid, alg, use, ...rest } = jwk;
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('jwk', rest, algorithm, false, ['sign']);
    proof = client.PrivateKeyJwt({ key, kid });
  } else {
    proof = proofs[method]({ secret });
  }
  const config = await client.discovery(new URL(issuer), id, undefined, proof, {
    execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  });
  return config;
}

// Sends the user to the server and back, and returns where they arrive and what is expected there.
async function comeBack(config, { browser, ...parameters } = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const expected = {
    pkceCodeVerifier: verifier,
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope,
    state: expected.expectedState,
    nonce: expected.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  });
  const visitor = browser ?? new Browser({ user: users.ann });
  return { where: await visitor.visit(url, callback), expected };
}

async function signIn(config, options) {
  const { where, expected } = await comeBack(config, options);
  return client.authorizationCodeGrant(config, where, expected);
}

const judgements = {
  async 'finds the server and what it can do'() {
    const metadata = (await configure('web')).serverMetadata();
    assert.equal(metadata.issuer, issuer);
    assert.ok(metadata.supportsPKCE('S256'));
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
  },

  async 'is sent back with an error when nobody is signed in and nobody may be asked'() {
    const config = await configure('web');
    const { where, expected } = await comeBack(config, { prompt: 'none' });
    await refusedAs('login_required', client.authorizationCodeGrant(config, where, expected));
    assert.equal(where.searchParams.get('iss'), issuer);
    assert.equal(where.searchParams.get('state'), expected.expectedState);
  },

  async 'is told that the user does not agree'() {
    const config = await configure('partner');
    const browser = new Browser({ user: users.ann, agrees: false });
    const { where, expected } = await comeBack(config, { browser });
    await refusedAs('access_denied', client.authorizationCodeGrant(config, where, expected));
    assert.equal(where.searchParams.get('iss'), issuer);
  },

  async 'signs in a user who agrees'() {
    const config = await configure('partner');
    const tokens = await signIn(config);
    assert.equal(tokens.claims().sub, users.ann.subject);
  },

  async 'finds the session of a user who has signed in'() {
    const config = await configure('web');
    const browser = new Browser({ user: users.ann });
    await signIn(config, { browser });
    const pages = browser.pages.length;
    const tokens = await signIn(config, { browser, prompt: 'none' });
    assert.equal(tokens.claims().sub, users.ann.subject);
    assert.equal(browser.pages.length, pages);
  },

  async 'is told when the user signed in'() {
    const config = await configure('web');
    const { where, expected } = await comeBack(config, { max_age: '600' });
    const tokens = await client.authorizationCodeGrant(config, where, { ...expected, maxAge: 600 });
    assert.equal(typeof tokens.claims().auth_time, 'number');
  },

  async 'has a code only once, and what it was good for ends'() {
    const config = await configure('web');
    const { where, expected } = await comeBack(config);
    const tokens = await client.authorizationCodeGrant(config, where, expected);
    await refusedAs('invalid_grant', client.authorizationCodeGrant(config, where, expected));
    await refusedAs('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token));
    assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
  },

  async 'has no tokens for a code with another verifier'() {
    const config = await configure('web');
    const { where, expected } = await comeBack(config);
    const other = { ...expected, pkceCodeVerifier: client.randomPKCECodeVerifier() };
    await refusedAs('invalid_grant', client.authorizationCodeGrant(config, where, other));
  },

  async 'has no code without a challenge'() {
    const config = await configure('web');
    const where = client.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope,
      state: 'a-state',
    });
    const browser = new Browser({ user: users.ann });
    const back = await browser.visit(where, callback);
    await refusedAs(
      'invalid_request',
      client.authorizationCodeGrant(config, back, { expectedState: 'a-state' }),
    );
  },

  async 'has a token of its own'() {
    const config = await configure('service');
    const tokens = await client.clientCredentialsGrant(config, { scope: 'orders:read' });
    assert.equal(tokens.scope ?? 'orders:read', 'orders:read');
    assert.equal(tokens.refresh_token, undefined);
    const said = await client.tokenIntrospection(config, tokens.access_token);
    assert.equal(said.active, true);
    assert.equal(said.sub, clients.service.id);
    assert.ok([said.aud].flat().includes(audience));
  },

  async 'has no scope that it was not given'() {
    const config = await configure('service');
    const asked = client.clientCredentialsGrant(config, { scope: 'orders:read orders:delete' });
    await refusedAs('invalid_scope', asked);
  },

  async 'learns nothing about the tokens of another client'() {
    const config = await configure('service');
    const tokens = await signIn(await configure('web'));
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
    }
  },

  async 'signs a user out, who comes back'() {
    const config = await configure('web');
    const browser = new Browser({ user: users.ann });
    const tokens = await signIn(config, { browser, scope: 'openid orders:read' });
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: told.signedOut,
      state: 'a state & more',
    });
    const where = await browser.visit(url, told.signedOut);
    assert.equal(where.searchParams.get('state'), 'a state & more');
    const { where: back, expected } = await comeBack(config, { browser, prompt: 'none' });
    await refusedAs('login_required', client.authorizationCodeGrant(config, back, expected));
    if (tokens.refresh_token) {
      await refusedAs('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token));
    }
    assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
  },
};

for (const name of ['web', 'post', 'signer', 'page']) {
  const { method } = clients[name];

  judgements[`signs in with ${method}`] = async () => {
    const config = await configure(name);
    const tokens = await signIn(config);
    assert.equal(tokens.token_type, 'bearer');
    assert.ok(tokens.expires_in <= 300);
    const { sub } = tokens.claims();
    assert.equal(sub, users.ann.subject);
    const said = await client.fetchUserInfo(config, tokens.access_token, sub);
    assert.equal(said.email, users.ann.email);
  };

  judgements[`refreshes with ${method}, and ends all if a token comes twice`] = async () => {
    const config = await configure(name);
    const { refresh_token: first } = await signIn(config);
    const second = await client.refreshTokenGrant(config, first);
    assert.notEqual(second.refresh_token, first);
    assert.ok(second.access_token);
    const third = await client.refreshTokenGrant(config, second.refresh_token);
    await refusedAs('invalid_grant', client.refreshTokenGrant(config, second.refresh_token));
    await refusedAs('invalid_grant', client.refreshTokenGrant(config, third.refresh_token));
  };

  judgements[`revokes with ${method}`] = async () => {
    const config = await configure(name);
    const tokens = await signIn(config);
    await client.tokenRevocation(config, tokens.refresh_token);
    await client.tokenRevocation(config, tokens.refresh_token);
    await refusedAs('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token));
  };

  if (method === 'none') continue;

  judgements[`asks about tokens with ${method}`] = async () => {
    const config = await configure(name);
    const tokens = await signIn(config);
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      const said = await client.tokenIntrospection(config, token);
      assert.equal(said.active, true);
      assert.equal(said.sub, users.ann.subject);
      assert.equal(said.client_id, clients[name].id);
    }
    await client.tokenRevocation(config, tokens.refresh_token);
    for (const token of [tokens.access_token, tokens.refresh_token, 'no-token']) {
      assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
    }
  };
}

await judge(judgements);
