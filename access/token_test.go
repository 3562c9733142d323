package access

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// signingKeys are made once: generating RSA keys is most of the time of these
// tests.
var signingKeys = sync.OnceValue(func() [][]byte {
	keys := make([][]byte, 2)
	for i := range keys {
		k, err := NewSigningKey()
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTestTokens(t testing.TB, c *clock, cacheSize int, keys ...[]byte) *Tokens {
	t.Helper()
	tok, err := NewTokens(keys, TokenOptions{Now: c.now, CacheSize: cacheSize})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var testSubject = Subject{
	ObjectID: "44444444-aaaa-4bbb-8ccc-000000000004", AppID: "7d3e0000-0000-4000-8000-0000000000aa",
	Tenant: "33333333-aaaa-4bbb-8ccc-000000000003", Name: "acme",
}

const testIssuer = "https://127.0.0.1:8443/33333333-aaaa-4bbb-8ccc-000000000003/v2.0"

func TestTokenRoundTrip(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	tokens := newTestTokens(t, c, 0, signingKeys()[0])
	raw, life, err := tokens.Issue(testSubject, AudienceManagement, testIssuer, c.t)
	if err != nil || life != time.Hour {
		t.Fatalf("issue: %v, %v", life, err)
	}

	var payload map[string]any
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &payload); err != nil {
		t.Fatal(err)
	}
	if uti, _ := payload["uti"].(string); len(uti) != 22 {
		t.Errorf("uti is %q", uti)
	}
	delete(payload, "uti")
	want := map[string]any{
		"tid": testSubject.Tenant, "oid": testSubject.ObjectID, "sub": testSubject.ObjectID,
		"appid": testSubject.AppID, "azp": testSubject.AppID, "app_displayname": "acme",
		"aud": AudienceManagement, "iss": testIssuer, "idtyp": "app", "ver": "2.0",
		"iat": float64(c.t.Unix()), "nbf": float64(c.t.Unix()), "exp": float64(c.t.Add(time.Hour).Unix()),
	}
	if diff := cmp.Diff(want, payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}

	// Twice: the second time it comes from the cache.
	for range 2 {
		got, err := tokens.Verify(raw, []string{"https://other", "HTTPS://management.azure.com//"})
		if err != nil {
			t.Fatal(err)
		}
		want := Claims{
			Subject: testSubject, Audience: AudienceManagement, Issuer: testIssuer,
			IssuedAt: c.t, Expires: c.t.Add(time.Hour),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Claims{}), cmpopts.IgnoreFields(Claims{}, "ID"),
			cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
	}
}

// The map has what the token has, under the same names, and no token.
func TestClaimsAsAMap(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	tokens := newTestTokens(t, c, 0, signingKeys()[0])
	raw, _, err := tokens.Issue(testSubject, AudienceManagement, testIssuer, c.t)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := tokens.Verify(raw, []string{AudienceManagement})
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var payload map[string]json.RawMessage
	if err := json.Unmarshal(body, &payload); err != nil {
		t.Fatal(err)
	}
	got := claims.Map()
	for name, value := range got {
		if want := strings.Trim(string(payload[name]), `"`); value != want {
			t.Errorf("%s is %q, in the token %s", name, value, want)
		}
	}
	for _, name := range []string{"aud", "iss", "iat", "nbf", "exp", "tid", "oid", "sub", "appid", "app_displayname", "uti"} {
		if got[name] == "" {
			t.Errorf("%s is missing in %v", name, got)
		}
	}
	if got := (Claims{}).Map(); len(got) != 0 {
		t.Errorf("no claims are %v", got)
	}
}

func TestTokenRefusals(t *testing.T) {
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	keys := signingKeys()
	audiences := ManagementAudiences("https://127.0.0.1:8443")
	// With and without the cache, and with the cache warm: the answer is the same.
	for _, mode := range []string{"cold", "warm", "uncached"} {
		t.Run(mode, func(t *testing.T) {
			c := &clock{start}
			size := 0
			if mode == "uncached" {
				size = -1
			}
			tokens := newTestTokens(t, c, size, keys[0])
			stranger := newTestTokens(t, c, size, keys[1])
			issue := func(by *Tokens, aud string, at time.Time) string {
				raw, _, err := by.Issue(testSubject, aud, testIssuer, at)
				if err != nil {
					t.Fatal(err)
				}
				return raw
			}
			good := issue(tokens, "https://127.0.0.1:8443", start)
			parts := strings.Split(good, ".")
			forged := parts[0] + "." + base64.RawURLEncoding.EncodeToString(
				[]byte(`{"oid":"root","aud":"https://management.azure.com","exp":9999999999}`)) + "." + parts[2]
			none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."

			tests := []struct {
				name, token string
				at          time.Time
				want        error
			}{
				{"good", good, start, nil},
				{"good until the last second", good, start.Add(time.Hour - time.Second), nil},
				{"expired", good, start.Add(time.Hour), ErrTokenExpired},
				{"issued while the clock was ahead", issue(tokens, AudienceManagement, start.AddDate(1, 0, 0)), start, nil},
				{"data plane token", issue(tokens, AudienceEventGrid, start), start, ErrTokenAudience},
				{"other server", issue(stranger, AudienceManagement, start), start, ErrTokenSignature},
				{"forged payload", forged, start, ErrTokenSignature},
				{"cut signature", good[:len(good)-20], start, ErrTokenSignature},
				{"alg none", none, start, ErrTokenMalformed},
				{"symmetric", symmetricToken(t, tokens), start, ErrTokenMalformed},
				{"empty", "", start, ErrTokenMalformed},
				{"opaque", "abc", start, ErrTokenMalformed},
				{"huge", strings.Repeat("a", 1<<20), start, ErrTokenMalformed},
			}
			for _, tt := range tests {
				c.t = tt.at
				if mode == "warm" {
					_, _ = tokens.Verify(tt.token, audiences)
				}
				if _, err := tokens.Verify(tt.token, audiences); !errors.Is(err, tt.want) {
					t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
				}
			}
		})
	}
}

// symmetricToken signs with the public key as an HMAC secret, the classic
// confusion of algorithms.
func symmetricToken(t *testing.T, tokens *Tokens) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: tokens.JWKS()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(map[string]any{"oid": "root", "aud": AudienceManagement, "exp": 9999999999}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestKeyRotation(t *testing.T) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	keys := signingKeys()
	before := newTestTokens(t, c, 0, keys[0])
	both := newTestTokens(t, c, 0, keys[0], keys[1])
	after := newTestTokens(t, c, 0, keys[1])
	old, _, _ := before.Issue(testSubject, AudienceEventGrid, testIssuer, c.t)
	fresh, _, _ := both.Issue(testSubject, AudienceEventGrid, testIssuer, c.t)
	for name, err := range map[string]error{
		"old key while both are there": verifyErr(both, old),
		"new key while both are there": verifyErr(both, fresh),
		"new key alone":                verifyErr(after, fresh),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verifyErr(after, old); !errors.Is(err, ErrTokenSignature) {
		t.Errorf("old key after it was dropped: %v", err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(both.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("key set has %d keys", len(set.Keys))
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || k.KeyID == "" || k.Use != "sig" || k.Algorithm != "RS256" {
			t.Errorf("bad key in set: %+v", k)
		}
	}
	// A consumer who has only the key set can verify.
	parsed, err := jwt.ParseSigned(fresh, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Claims(set, &jwt.Claims{}); err != nil {
		t.Errorf("verify by key set: %v", err)
	}
}

func verifyErr(tokens *Tokens, raw string) error {
	_, err := tokens.Verify(raw, DataAudiences())
	return err
}

func TestNewTokensRefusesBadKeys(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"none":  nil,
		"empty": {nil},
		"text":  {[]byte("no PEM")},
		"other": {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
	} {
		if _, err := NewTokens(keys, TokenOptions{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClaimsCacheIsBounded(t *testing.T) {
	const size = 64
	c := newClaimsCache(size)
	hot := cacheKey("hot")
	c.put(hot, Claims{ID: "hot"}, 0)
	for i := range 10_000 {
		c.put(cacheKey(fmt.Sprint(i)), Claims{ID: fmt.Sprint(i)}, 0)
		if v, ok := c.get(hot); !ok || v.ID != "hot" {
			t.Fatalf("what is asked for all the time was forgotten after %d others", i+1)
		}
		if n := c.size(); n > size {
			t.Fatalf("%d entries, want at most %d", n, size)
		}
	}
	if _, ok := c.get(cacheKey("0")); ok {
		t.Error("an entry that nobody asked for is still there")
	}
}

func TestClaimsCacheConcurrently(t *testing.T) {
	c := newClaimsCache(16)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				name := fmt.Sprint((i * (g + 1)) % 40)
				if v, ok := c.get(cacheKey(name)); ok && v.ID != name {
					t.Errorf("got %q for %q", v.ID, name)
				}
				c.put(cacheKey(name), Claims{ID: name}, 0)
			}
		})
	}
	wg.Wait()
}

func FuzzVerifyToken(f *testing.F) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	tokens := newTestTokens(f, c, 16, signingKeys()[0])
	stranger := newTestTokens(f, c, 16, signingKeys()[1])
	seed, _, _ := stranger.Issue(testSubject, AudienceEventGrid, testIssuer, c.t)
	f.Add(seed)
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, raw string) {
		_, err := tokens.Verify(raw, DataAudiences())
		if !errors.Is(err, ErrTokenMalformed) && !errors.Is(err, ErrTokenSignature) {
			t.Fatalf("Verify(%q) = %v", raw, err)
		}
	})
}

func BenchmarkVerifyToken(b *testing.B) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	for name, size := range map[string]int{"cached": 0, "uncached": -1} {
		b.Run(name, func(b *testing.B) {
			tokens := newTestTokens(b, c, size, signingKeys()[0])
			raw, _, err := tokens.Issue(testSubject, AudienceEventGrid, testIssuer, c.t)
			if err != nil {
				b.Fatal(err)
			}
			audiences := DataAudiences()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tokens.Verify(raw, audiences); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIssueToken(b *testing.B) {
	c := &clock{time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	tokens := newTestTokens(b, c, 0, signingKeys()[0])
	for b.Loop() {
		if _, _, err := tokens.Issue(testSubject, AudienceEventGrid, testIssuer, c.t); err != nil {
			b.Fatal(err)
		}
	}
}
