package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "https://management.azure.com"

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// provider is an issuer whose keys can be changed, over TLS on this machine.
type provider struct {
	t   testing.TB
	srv *httptest.Server
	url string

	mu      sync.Mutex // protects the fields below
	keys    jose.JSONWebKeySet
	name    string // as the document spells the issuer
	keysAt  string // jwks_uri; empty: its own
	down    bool
	fetches int
	hold    chan struct{} // when set, answers wait for it
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{t: t}
	p.srv = httptest.NewTLSServer(p)
	t.Cleanup(p.srv.Close)
	p.url = p.srv.URL + "/realms/acme"
	p.name = p.url
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		hold := p.hold
		p.mu.Unlock()
		<-hold
		p.mu.Lock()
	}
	if p.down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/realms/acme/.well-known/openid-configuration":
		p.fetches++
		at := p.keysAt
		if at == "" {
			at = p.srv.URL + "/keys"
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.name, "jwks_uri": at})
	case "/keys":
		_ = json.NewEncoder(w).Encode(p.keys)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// key makes one and publishes it.
func (p *provider) key(id string, alg jose.SignatureAlgorithm) signingKey {
	p.t.Helper()
	k := newKey(p.t, id, alg)
	p.set(func() {
		p.keys.Keys = append(p.keys.Keys, jose.JSONWebKey{Key: k.key.(crypto.Signer).Public(), KeyID: id, Use: "sig"})
	})
	return k
}

type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key any
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKey(t testing.TB, id string, alg jose.SignatureAlgorithm) signingKey {
	t.Helper()
	var key any
	var err error
	if strings.HasPrefix(string(alg), "ES") {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsaKey()
	}
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{id, alg, key}
}

func (k signingKey) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	if k.id != "" {
		opts = opts.WithHeader("kid", k.id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with returns the claims of a good token, changed.
func (p *provider) with(more map[string]any) map[string]any {
	c := map[string]any{
		"iss": p.url, "sub": "alice", "aud": audience, "name": "Alice",
		"iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
	for k, v := range more {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.at.Load())) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func (p *provider) issuers(c *clock, o Options) *Issuers {
	p.t.Helper()
	if o.URL == "" {
		o.URL = p.url
	}
	is, err := New([]Options{o}, Settings{Now: c.now, Transport: p.srv.Client().Transport})
	if err != nil {
		p.t.Fatal(err)
	}
	return is
}

func TestVerify(t *testing.T) {
	p := newProvider(t)
	good, elliptic := p.key("k1", jose.RS256), p.key("k2", jose.ES256)
	stranger := newKey(t, "k2", jose.ES256)
	symmetric := signingKey{"k1", jose.HS256, []byte(strings.Repeat("k", 64))}
	tests := []struct {
		name   string
		key    signingKey
		claims map[string]any
		want   error
	}{
		{"RS256", good, nil, nil},
		{"ES256", elliptic, nil, nil},
		{"PS256 with the same key", signingKey{"k1", jose.PS256, good.key}, nil, nil},
		{"no key id", signingKey{"", jose.RS256, good.key}, nil, nil},
		{"several audiences", good, map[string]any{"aud": []string{"x", audience + "/"}}, nil},
		{"a little expired", good, map[string]any{"exp": start.Add(-30 * time.Second).Unix()}, nil},
		{"a little early", good, map[string]any{"nbf": start.Add(30 * time.Second).Unix()}, nil},
		{"expired", good, map[string]any{"exp": start.Add(-2 * time.Minute).Unix()}, access.ErrTokenExpired},
		{"early", good, map[string]any{"nbf": start.Add(2 * time.Minute).Unix()}, access.ErrTokenEarly},
		{"issued in the future", good, map[string]any{"iat": start.Add(2 * time.Minute).Unix()}, access.ErrTokenEarly},
		{"other audience", good, map[string]any{"aud": "https://graph.microsoft.com"}, access.ErrTokenAudience},
		{"no audience", good, map[string]any{"aud": nil}, access.ErrTokenMalformed},
		{"no expiry", good, map[string]any{"exp": nil}, access.ErrTokenMalformed},
		{"no subject", good, map[string]any{"sub": nil}, access.ErrTokenMalformed},
		{"other issuer", good, map[string]any{"iss": "https://evil.example"}, access.ErrTokenIssuer},
		{"no issuer", good, map[string]any{"iss": nil}, access.ErrTokenIssuer},
		{"issuer with a slash more", good, map[string]any{"iss": p.url + "/"}, access.ErrTokenIssuer},
		{"issuer is no text", good, map[string]any{"iss": 7}, access.ErrTokenMalformed},
		{"somebody else's key under the same id", stranger, nil, access.ErrTokenSignature},
		{"unknown key id", signingKey{"k9", jose.RS256, good.key}, nil, access.ErrTokenSignature},
		{"a shared secret", symmetric, nil, access.ErrTokenMalformed},
	}
	var c clock
	is := p.issuers(&c, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := tt.key.sign(t, p.with(tt.claims))
			for range 2 { // the second time it is remembered
				got, err := is.Verify(token, []string{"https://x", audience})
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err != nil && strings.Contains(err.Error(), token[:20]) {
					t.Errorf("the error repeats the token: %v", err)
				}
				if err == nil && (got.ObjectID != ObjectIDOf(p.url, "alice") || got.Name != "Alice" || !access.SameAudience(got.Audience, audience)) {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
	none := "eyJhbGciOiJub25lIn0." + strings.Split(good.sign(t, p.with(nil)), ".")[1] + "."
	for _, bad := range []string{none, "", "x", "a.b.c", strings.Repeat("x", maxToken+1), good.sign(t, p.with(nil)) + "x"} {
		if _, err := is.Verify(bad, []string{audience}); err == nil {
			t.Errorf("%.60q passed", bad)
		}
	}
}

// The server's own tokens and those of others pass through one door.
func TestBesideOwnTokens(t *testing.T) {
	p := newProvider(t)
	keys := []signingKey{p.key("k1", jose.RS256), p.key("k2", jose.ES256)}
	signing, err := access.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	var c clock
	tokens, err := access.NewTokens([][]byte{signing}, access.TokenOptions{Now: c.now, External: p.issuers(&c, Options{})})
	if err != nil {
		t.Fatal(err)
	}
	own, _, err := tokens.Issue(access.Subject{ObjectID: "own"}, audience, "https://h/v2.0", c.now())
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.down = true })
	if _, err := tokens.Verify(own, []string{audience}); err != nil {
		t.Errorf("our own token needs the other issuer: %v", err)
	}
	if _, err := tokens.Verify(keys[0].sign(t, p.with(nil)), []string{audience}); !errors.Is(err, access.ErrIssuerDown) {
		t.Errorf("while down: %v", err)
	}
	p.set(func() { p.down = false })
	c.advance(pause)
	for _, k := range keys {
		if got, err := tokens.Verify(k.sign(t, p.with(nil)), []string{audience}); err != nil || got.Name != "Alice" {
			t.Errorf("%s: %+v, %v", k.alg, got, err)
		}
	}
	if _, err := tokens.Verify(keys[0].sign(t, p.with(map[string]any{"iss": "https://evil.example"})), []string{audience}); !errors.Is(err, access.ErrTokenSignature) {
		t.Errorf("a stranger: %v", err)
	}
	if n := p.count(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestAlgorithmsAndAudiencesOfAnIssuer(t *testing.T) {
	p := newProvider(t)
	good := p.key("k1", jose.RS256)
	var c clock
	is := p.issuers(&c, Options{Algorithms: []jose.SignatureAlgorithm{jose.ES256}})
	if _, err := is.Verify(good.sign(t, p.with(nil)), []string{audience}); !errors.Is(err, access.ErrTokenSignature) {
		t.Errorf("RS256 passed: %v", err)
	}
	is = p.issuers(&c, Options{Audiences: []string{"intertie"}})
	if _, err := is.Verify(good.sign(t, p.with(map[string]any{"aud": "intertie"})), []string{audience}); err != nil {
		t.Error(err)
	}
	if _, err := is.Verify(good.sign(t, p.with(nil)), []string{audience}); !errors.Is(err, access.ErrTokenAudience) {
		t.Errorf("another audience than the configured one passed: %v", err)
	}
}

func TestClaims(t *testing.T) {
	p := newProvider(t)
	key := p.key("k1", jose.RS256)
	const oid, group = "55555555-aaaa-4bbb-8ccc-000000000005", "66666666-aaaa-4bbb-8ccc-000000000006"
	var c clock
	for _, tt := range []struct {
		name string
		opts Options
		more map[string]any
		want access.Claims
	}{
		{"object id", Options{}, map[string]any{"oid": strings.ToUpper(oid), "tid": "t1", "azp": "app", "jti": "j"}, access.Claims{
			Subject: access.Subject{ObjectID: oid, Name: "Alice", Tenant: "t1", AppID: "app"}, ID: "j",
		}},
		{"object id that is none", Options{}, map[string]any{"oid": "42"}, access.Claims{
			Subject: access.Subject{ObjectID: ObjectIDOf(p.url, "alice"), Name: "Alice"},
		}},
		{"own names", Options{ObjectID: "uid", Name: "email", Groups: "realm_access.roles", Tenant: "org"}, map[string]any{
			"uid": oid, "email": "a@b", "org": "acme", "realm_access": map[string]any{"roles": []string{"ops", group, "ops"}}, "groups": []string{"x"},
		}, access.Claims{
			Subject: access.Subject{ObjectID: oid, Name: "a@b", Tenant: "acme"}, Groups: []string{GroupIDOf(p.url, "ops"), group},
		}},
		{"one group", Options{}, map[string]any{"groups": "ops"}, access.Claims{
			Subject: access.Subject{ObjectID: ObjectIDOf(p.url, "alice"), Name: "Alice"}, Groups: []string{GroupIDOf(p.url, "ops")},
		}},
		{"odd groups", Options{}, map[string]any{"groups": []any{1, "", nil, map[string]any{}}, "name": 7, "preferred_username": "al"}, access.Claims{
			Subject: access.Subject{ObjectID: ObjectIDOf(p.url, "alice"), Name: "al"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.issuers(&c, tt.opts).Verify(key.sign(t, p.with(tt.more)), []string{audience})
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Audience, tt.want.Issuer = audience, p.url
			tt.want.IssuedAt, tt.want.Expires = start, start.Add(time.Hour)
			got.IssuedAt, got.Expires = got.IssuedAt.UTC(), got.Expires.UTC()
			if diff := cmp.Diff(tt.want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".notBefore" }, cmp.Ignore())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// What others have to be able to work out.
	if got := ObjectIDOf("https://login.example", "alice"); got != "826d6478-0b69-5d60-8e61-1768e221b7e3" {
		t.Errorf("alice is %s", got)
	}
	if got := GroupIDOf("https://login.example", "ops"); got != "4b41c908-3abc-540c-a1d8-58fa03e24a55" {
		t.Errorf("ops is %s", got)
	}
	many := make([]string, maxGroups+50)
	for i := range many {
		many[i] = strings.Repeat("g", i+1)
	}
	if got := (Options{Groups: "groups"}).read(jwt.Claims{Issuer: p.url}, map[string]any{"groups": anys(many)}); len(got.claims.Groups) != maxGroups {
		t.Errorf("%d groups", len(got.claims.Groups))
	}
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}

func TestRotation(t *testing.T) {
	p := newProvider(t)
	first := p.key("k1", jose.RS256)
	var c clock
	is := p.issuers(&c, Options{})
	verify := func(k signingKey) error {
		_, err := is.Verify(k.sign(t, p.with(map[string]any{"exp": start.Add(72 * time.Hour).Unix()})), []string{audience})
		return err
	}
	if err := verify(first); err != nil {
		t.Fatal(err)
	}
	// Invented key ids make one fetch, however many there are.
	c.advance(time.Minute)
	before := p.count()
	for i := range 50 {
		if err := verify(signingKey{strings.Repeat("x", i+1), jose.RS256, first.key}); !errors.Is(err, access.ErrTokenSignature) {
			t.Fatal(err)
		}
	}
	if n := p.count() - before; n != 1 {
		t.Errorf("%d fetches for 50 invented ids", n)
	}
	// A new key is found as soon as the pause is over; the old one goes with it.
	p.set(func() { p.keys.Keys = nil })
	second := p.key("k2", jose.ES256)
	if err := verify(second); !errors.Is(err, access.ErrTokenSignature) {
		t.Errorf("within the pause: %v", err)
	}
	c.advance(pause)
	if err := verify(second); err != nil {
		t.Errorf("a new key: %v", err)
	}
	c.advance(pause)
	if err := verify(first); !errors.Is(err, access.ErrTokenSignature) {
		t.Errorf("a token by a key that was taken back: %v", err)
	}
	// Down: what is known stays good for a day.
	p.set(func() { p.down = true })
	c.advance(23 * time.Hour)
	if err := verify(second); err != nil {
		t.Errorf("while down: %v", err)
	}
	c.advance(2 * time.Hour)
	if err := verify(second); !errors.Is(err, access.ErrIssuerDown) {
		t.Errorf("down for longer than a day: %v", err)
	}
	p.set(func() { p.down = false })
	c.advance(pause)
	if err := verify(second); err != nil {
		t.Errorf("back again: %v", err)
	}
}

// While one request waits for keys, those with keys that are known do not.
func TestNobodyWaitsForAStranger(t *testing.T) {
	p := newProvider(t)
	known := p.key("k1", jose.RS256)
	var c clock
	is := p.issuers(&c, Options{})
	token := known.sign(t, p.with(nil))
	if _, err := is.Verify(token, []string{audience}); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	p.set(func() { p.hold = hold })
	c.advance(time.Minute)
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() {
			_, err := is.Verify(signingKey{"k9", jose.RS256, known.key}.sign(t, p.with(nil)), []string{audience})
			if !errors.Is(err, access.ErrTokenSignature) {
				t.Error(err)
			}
		})
	}
	for range 100 {
		if _, err := is.Verify(token, []string{audience}); err != nil {
			t.Error(err)
		}
	}
	p.set(func() { p.hold = nil })
	close(hold)
	waiting.Wait()
}

func TestUntrustworthyDocuments(t *testing.T) {
	for name, change := range map[string]func(*provider){
		"other issuer":     func(p *provider) { p.name = "https://evil.example" },
		"keys over http":   func(p *provider) { p.keysAt = "http://evil.example/keys" },
		"no keys":          func(p *provider) { p.keys.Keys = nil },
		"keys elsewhere":   func(p *provider) { p.keysAt = p.srv.URL + "/nothing" },
		"down":             func(p *provider) { p.down = true },
		"encryption key":   func(p *provider) { p.keys.Keys[0].Use = "enc" },
		"key of other alg": func(p *provider) { p.keys.Keys[0].Algorithm = "ES512" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			key := p.key("k1", jose.RS256)
			p.set(func() { change(p) })
			var c clock
			_, err := p.issuers(&c, Options{}).Verify(key.sign(t, p.with(nil)), []string{audience})
			if !errors.Is(err, access.ErrIssuerDown) && !errors.Is(err, access.ErrTokenSignature) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// answers is a transport in memory, for the fake clock.
type answers struct {
	mu    sync.Mutex // protects the fields below
	times []time.Duration
	from  time.Time
	body  func(path string) string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	body := a.body(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "openid-configuration") {
		a.mu.Lock()
		a.times = append(a.times, time.Since(a.from))
		a.mu.Unlock()
	}
	if body == "" {
		w.WriteHeader(http.StatusBadGateway)
	}
	_, _ = w.WriteString(body)
	return w.Result(), nil
}

func TestRun(t *testing.T) {
	key := newKey(t, "k1", jose.ES256)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.key.(crypto.Signer).Public(), KeyID: "k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		from := time.Now()
		a := &answers{from: from, body: func(path string) string {
			switch {
			case time.Since(from) < time.Minute:
				return "" // down at first
			case path == "/keys":
				return string(set)
			default:
				return `{"issuer":"https://login.example","jwks_uri":"https://login.example/keys"}`
			}
		}}
		is, err := New([]Options{{URL: "https://login.example"}}, Settings{Transport: a})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 130*time.Minute)
		defer cancel()
		if err := is.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 30 * time.Second, time.Minute, 61 * time.Minute, 121 * time.Minute}
		if !slices.Equal(a.times, want) {
			t.Errorf("fetched at %v, want %v", a.times, want)
		}
	})
}

func TestOptions(t *testing.T) {
	got, err := ParseOptions("https://login.example/realms/acme, audience=a,audience=api://b,groups=realm_access.roles,oid=uid,name=email,tenant=org,alg=ES256")
	want := Options{
		URL: "https://login.example/realms/acme", Audiences: []string{"a", "api://b"}, ObjectID: "uid", Name: "email",
		Groups: "realm_access.roles", Tenant: "org", Algorithms: []jose.SignatureAlgorithm{jose.ES256},
	}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
	for _, bad := range []string{
		"", "login.example", "http://login.example", "https://login.example?x=1", "https://u:p@login.example", "https://x,y", "https://x,y=z",
		"https://x,alg=HS256", "https://x,alg=none", "https://x,audience=", "https://%zz",
	} {
		if _, err := ParseOptions(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	for _, good := range []string{"http://localhost:8080/realms/a", "http://127.0.0.1:1", "http://[::1]:1"} {
		if _, err := ParseOptions(good); err != nil {
			t.Error(err)
		}
	}
	if _, err := New([]Options{{URL: "https://a"}, {URL: "https://a/"}}, Settings{}); err == nil {
		t.Error("the same issuer twice passed")
	}
	if _, err := New([]Options{{URL: "https://a", Skew: time.Hour}}, Settings{}); err == nil {
		t.Error("a skew of an hour passed")
	}
}

func FuzzVerify(f *testing.F) {
	p := newProvider(f)
	key := p.key("k1", jose.ES256)
	f.Add(key.sign(f, p.with(nil)))
	f.Add(key.sign(f, map[string]any{"iss": p.url}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	good := map[string]bool{key.sign(f, p.with(nil)): true}
	var c clock
	is := p.issuers(&c, Options{})
	f.Fuzz(func(t *testing.T, token string) {
		got, err := is.Verify(token, []string{audience})
		if err == nil && !good[token] && got.ObjectID != ObjectIDOf(p.url, "alice") {
			t.Errorf("%q passed as %+v", token, got)
		}
	})
}
