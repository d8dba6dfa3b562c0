// oauth4webapi, which is certified: a client that looks at each answer by itself, and a service that
// accepts access tokens by RFC 9068.

import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { Browser, judge, told } from './judging.mjs';

const { issuer, audience, callback, clients, users } = told;
const http = { [oauth.allowInsecureRequests]: true };

async function discover(algorithm) {
  const answer = await oauth.discoveryRequest(new URL(issuer), { algorithm, ...http });
  return oauth.processDiscoveryResponse(new URL(issuer), answer);
}

const as = await discover('oidc');

function known(name) {
  const { id, secret, method } = clients[name];
  const proof = { none: oauth.None, client_secret_basic: oauth.ClientSecretBasic }[method](secret);
  return [{ client_id: id }, proof];
}

async function authorize(name, { browser, ...parameters } = {}) {
  const [client] = known(name);
  const verifier = oauth.generateRandomCodeVerifier();
  const asked = {
    client_id: client.client_id,
    redirect_uri: callback,
    response_type: 'code',
    scope: 'openid offline_access orders:read',
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  };
  const url = new URL(as.authorization_endpoint);
  for (const [key, value] of Object.entries(asked)) {
    if (value !== undefined) url.searchParams.set(key, value);
  }
  const where = await (browser ?? new Browser({ user: users.ann })).visit(url, callback);
  return { client, verifier, asked, where };
}

async function redeem(name, { where, asked, verifier }) {
  const [client, proof] = known(name);
  const state = asked.state ?? oauth.expectNoState;
  const parameters = oauth.validateAuthResponse(as, client, where, state);
  return oauth.authorizationCodeGrantRequest(as, client, proof, parameters, callback, verifier, http);
}

async function signIn(name, options) {
  const authorized = await authorize(name, options);
  const answer = await redeem(name, authorized);
  assert.match(answer.headers.get('cache-control'), /no-store/);
  const tokens = await oauth.processAuthorizationCodeResponse(as, authorized.client, answer, {
    expectedNonce: authorized.asked.nonce ?? oauth.expectNoNonce,
    requireIdToken: true,
  });
  await oauth.validateApplicationLevelSignature(as, answer, http);
  return tokens;
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('Not refused.');
}

// A service that is asked something with a token.
function asked(token, scheme = 'Bearer') {
  return new Request('http://127.0.0.1/orders', { headers: { authorization: `${scheme} ${token}` } });
}

const judgements = {
  async 'finds the same in both documents'() {
    const other = await discover('oauth2');
    for (const name of ['issuer', 'token_endpoint', 'authorization_endpoint', 'jwks_uri']) {
      assert.equal(other[name], as[name], name);
    }
    assert.deepEqual(as.code_challenge_methods_supported, ['S256']);
    assert.deepEqual(as.response_types_supported, ['code']);
  },

  async 'finds every endpoint on the host of the issuer'() {
    for (const [name, value] of Object.entries(as)) {
      if (/_endpoint$|_uri$/.test(name)) assert.equal(new URL(value).origin, issuer, name);
    }
  },

  async 'checks the signature of an ID token by the published keys'() {
    for (const name of ['web', 'page']) {
      const claims = oauth.getValidatedIdTokenClaims(await signIn(name));
      assert.equal(claims.sub, users.ann.subject);
      assert.equal(claims.iss, issuer);
    }
  },

  async 'signs in without a nonce and without a state'() {
    const tokens = await signIn('web', { nonce: undefined, state: undefined });
    assert.equal(oauth.getValidatedIdTokenClaims(tokens).nonce, undefined);
  },

  async 'accepts an access token of a user by RFC 9068'() {
    const { access_token: token } = await signIn('web');
    const claims = await oauth.validateJwtAccessToken(as, asked(token), audience, http);
    assert.equal(claims.sub, users.ann.subject);
    assert.equal(claims.client_id, clients.web.id);
    assert.ok(claims.scope.split(' ').includes('orders:read'));
    assert.equal(typeof claims.auth_time, 'number');
  },

  async 'accepts an access token of a client by RFC 9068'() {
    const [client, proof] = known('service');
    const form = { scope: 'orders:read' };
    const answer = await oauth.clientCredentialsGrantRequest(as, client, proof, form, http);
    const tokens = await oauth.processClientCredentialsResponse(as, client, answer);
    const request = asked(tokens.access_token);
    const claims = await oauth.validateJwtAccessToken(as, request, audience, http);
    assert.equal(claims.sub, client.client_id);
    assert.equal(claims.client_id, client.client_id);
    assert.equal(claims.scope, 'orders:read');
  },

  async 'takes no ID token for an access token'() {
    const { id_token: token } = await signIn('web');
    await failure(oauth.validateJwtAccessToken(as, asked(token), audience, http));
    await failure(oauth.validateJwtAccessToken(as, asked(token), clients.web.id, http));
  },

  async 'is not taken for another service'() {
    const { access_token: token } = await signIn('web');
    await failure(oauth.validateJwtAccessToken(as, asked(token), 'https://other.example.com', http));
  },

  async 'refreshes, and has an ID token of the same user'() {
    const [client, proof] = known('page');
    const first = await signIn('page');
    const answer = await oauth.refreshTokenGrantRequest(as, client, proof, first.refresh_token, http);
    const second = await oauth.processRefreshTokenResponse(as, client, answer);
    const claims = oauth.getValidatedIdTokenClaims(second);
    if (claims) {
      await oauth.validateApplicationLevelSignature(as, answer, http);
      assert.equal(claims.sub, users.ann.subject);
      assert.equal(claims.auth_time, oauth.getValidatedIdTokenClaims(first).auth_time);
      assert.equal(claims.nonce, undefined);
    }
    assert.notEqual(second.refresh_token, first.refresh_token);
  },

  async 'is told what is wrong as RFC 6749 has it'() {
    const authorized = await authorize('web');
    const [client] = known('web');
    const wrong = { ...authorized, verifier: oauth.generateRandomCodeVerifier() };
    const answer = await redeem('web', wrong);
    assert.equal(answer.status, 400);
    const error = await failure(oauth.processAuthorizationCodeResponse(as, client, answer));
    assert.ok(error instanceof oauth.ResponseBodyError);
    assert.equal(error.error, 'invalid_grant');
  },

  async 'is refused with a wrong secret, and told how to come'() {
    const [client] = known('service');
    const proof = oauth.ClientSecretBasic('fbs_not-the-secret-of-anybody');
    const answer = await oauth.clientCredentialsGrantRequest(as, client, proof, {}, http);
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get('www-authenticate'), /^Basic /i);
    assert.equal((await answer.clone().json()).error, 'invalid_client');
    const error = await failure(oauth.processClientCredentialsResponse(as, client, answer));
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError);
  },

  async 'is told who the user is'() {
    const [client] = known('page');
    const tokens = await signIn('page', { scope: 'openid email' });
    const { sub } = oauth.getValidatedIdTokenClaims(tokens);
    const answer = await oauth.userInfoRequest(as, client, tokens.access_token, http);
    const said = await oauth.processUserInfoResponse(as, client, sub, answer);
    assert.equal(said.email, users.ann.email);
    assert.equal(said.email_verified, true);
  },

  async 'is not told who the user is with a token that is none'() {
    const [client] = known('page');
    const answer = await oauth.userInfoRequest(as, client, 'no-token', http);
    assert.equal(answer.status, 401);
    const error = await failure(oauth.processUserInfoResponse(as, client, oauth.skipSubjectCheck, answer));
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError);
    const [challenge] = error.cause;
    assert.equal(challenge.scheme, 'bearer');
    assert.equal(challenge.parameters.error, 'invalid_token');
  },

  async 'revokes a token, and asks about it'() {
    const [client, proof] = known('web');
    const tokens = await signIn('web');
    const about = async (token) => {
      const answer = await oauth.introspectionRequest(as, client, proof, token, http);
      return oauth.processIntrospectionResponse(as, client, answer);
    };
    const before = await about(tokens.access_token);
    assert.equal(before.active, true);
    assert.equal(before.iss, issuer);
    const answer = await oauth.revocationRequest(as, client, proof, tokens.refresh_token, http);
    await oauth.processRevocationResponse(answer);
    assert.deepEqual(await about(tokens.access_token), { active: false });
    assert.deepEqual(await about(tokens.refresh_token), { active: false });
  },

  async 'is told an error of the request with the name of the server'() {
    const [client] = known('web');
    const { where, asked: sent } = await authorize('web', { scope: 'openid orders:delete' });
    assert.equal(where.searchParams.get('iss'), issuer);
    const error = await failure(
      (async () => oauth.validateAuthResponse(as, client, where, sent.state))(),
    );
    assert.ok(error instanceof oauth.AuthorizationResponseError);
    assert.equal(error.error, 'invalid_scope');
  },

  async 'has only codes, whatever it asks for'() {
    const [client] = known('web');
    for (const type of ['token', 'id_token', 'code id_token', 'none']) {
      const { where, asked: sent } = await authorize('web', { response_type: type });
      const error = await failure(
        (async () => oauth.validateAuthResponse(as, client, where, sent.state))(),
      );
      assert.equal(error.error, 'unsupported_response_type', type);
    }
  },
};

await judge(judgements);
