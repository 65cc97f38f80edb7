/* sts.test.mjs - who am I, and roles that anybody may take. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ExpiredTokenException, InvalidIdentityTokenException, STS } from "@aws-sdk/client-sts";
import { ACCOUNT, check, refused, startLocal } from "./lib.mjs";

let local;
let sts;

before(async () => {
    local = await startLocal();
    sts = local.client(STS);
});
after(() => local.stop());

check("sts: the caller is the root of the one account", async () => {
    const me = await sts.getCallerIdentity({});

    assert.equal(me.Account, ACCOUNT);
    assert.match(me.Arn, new RegExp(`^arn:aws:iam::${ACCOUNT}:`));
    assert.ok(me.UserId);
});

check("sts: a role is assumed, and its credentials work", async () => {
    const answer = await sts.assumeRole({
        RoleArn: `arn:aws:iam::${ACCOUNT}:role/reader`,
        RoleSessionName: "me@here",
        DurationSeconds: 900,
    });
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials;

    assert.match(AccessKeyId, /^ASIA[A-Z0-9]{16}$/);
    assert.equal(SecretAccessKey.length, 40);
    assert.ok(Math.abs(Expiration - Date.now() - 900000) < 60000);
    assert.equal(answer.AssumedRoleUser.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/reader/me@here`);

    const reader = local.client(STS, {
        credentials: { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken },
    });

    assert.equal((await reader.getCallerIdentity({})).Arn, answer.AssumedRoleUser.Arn);

    const forged = local.client(STS, {
        credentials: { accessKeyId: AccessKeyId, secretAccessKey: "forged", sessionToken: SessionToken },
    });

    await refused(forged.getCallerIdentity({}), "SignatureDoesNotMatch");
    await refused(
        sts.assumeRole({ RoleArn: `arn:aws:iam::${ACCOUNT}:role/reader`, RoleSessionName: "not:so" }),
        "ValidationError",
        /Value 'not:so' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[\\w\+=,\.@-\]\*/,
    );
});

check("sts: sessions, keys and tokens of others", async () => {
    const session = await sts.getSessionToken({ DurationSeconds: 900 });

    assert.match(session.Credentials.AccessKeyId, /^ASIA[A-Z0-9]{16}$/);
    assert.equal(
        (await sts.getAccessKeyInfo({ AccessKeyId: session.Credentials.AccessKeyId })).Account,
        ACCOUNT,
    );

    const part = (claims) => Buffer.from(JSON.stringify(claims)).toString("base64url");
    const token = (exp) =>
        [part({ alg: "none" }), part({ iss: "https://issuer.test", sub: "pod", aud: "sts", exp }), "x"].join(".");
    const web = {
        RoleArn: `arn:aws:iam::${ACCOUNT}:role/pod`,
        RoleSessionName: "pod-1",
        WebIdentityToken: token(Math.floor(Date.now() / 1000) + 600),
    };
    const answer = await sts.assumeRoleWithWebIdentity(web);

    assert.equal(answer.SubjectFromWebIdentityToken, "pod");
    assert.equal(answer.Audience, "sts");
    assert.equal(answer.AssumedRoleUser.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/pod/pod-1`);
    await refused(sts.assumeRoleWithWebIdentity({ ...web, WebIdentityToken: token(1) }), ExpiredTokenException);
    await refused(sts.assumeRoleWithWebIdentity({ ...web, WebIdentityToken: "nonsense" }), InvalidIdentityTokenException);
});

check("sts: a wrong secret is refused", async () => {
    const other = local.client(STS, { credentials: { accessKeyId: "test", secretAccessKey: "wrong" } });

    await refused(other.getCallerIdentity({}), "SignatureDoesNotMatch");
});
