package access

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

var principalNow = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func TestSecrets(t *testing.T) {
	p := NewServicePrincipal("tenant", "acme", principalNow)
	if err := p.VerifySecret("", principalNow); !errors.Is(err, ErrSecretWrong) {
		t.Errorf("no secrets, empty secret: %v", err)
	}
	clear1, s1 := NewSecret("one", principalNow, principalNow.Add(time.Hour))
	clear2, s2 := NewSecret("two", principalNow, time.Time{})
	clear3, s3 := NewSecret("three", principalNow, time.Time{})
	s3.Planned = true
	p.Secrets = []Secret{s1, s2, s3}
	if clear1 == clear2 || bytes.Equal(s1.Salt, s2.Salt) || s1.KeyID == s2.KeyID {
		t.Fatal("two secrets share something")
	}
	if !strings.HasPrefix(clear1, s1.Hint) || len(s1.Hint) != 6 {
		t.Errorf("hint %q", s1.Hint)
	}
	stored, err := json.Marshal(s1)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored), clear1) {
		t.Error("the stored form holds the clear text")
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s1)
	if strings.Contains(log.String(), base64.StdEncoding.EncodeToString(s1.Hash)) || strings.Contains(log.String(), "Hash") {
		t.Errorf("the log holds the hash: %s", &log)
	}

	tests := []struct {
		name, clear string
		at          time.Time
		want        error
	}{
		{"first", clear1, principalNow, nil},
		{"second", clear2, principalNow, nil},
		{"never expires", clear2, principalNow.AddDate(50, 0, 0), nil},
		{"expired", clear1, principalNow.Add(time.Hour), ErrSecretExpired},
		{"before it was made, by a clock that went wrong", clear1, principalNow.Add(-time.Hour), nil},
		{"before it may be used", clear3, principalNow.Add(-time.Hour), ErrSecretExpired},
		{"from when it may be used", clear3, principalNow, nil},
		{"wrong", clear1 + "x", principalNow, ErrSecretWrong},
		{"its hash", string(s1.Hash), principalNow, ErrSecretWrong},
		{"empty", "", principalNow, ErrSecretWrong},
	}
	for _, tt := range tests {
		if err := p.VerifySecret(tt.clear, tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	p.Secrets = []Secret{{KeyID: "unset"}}
	if err := p.VerifySecret("", principalNow); !errors.Is(err, ErrSecretWrong) {
		t.Errorf("a secret without a hash: %v", err)
	}
}

// identity is a client's key and certificate.
type identity struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newIdentity(bits int) identity {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: principalNow.AddDate(0, -1, 0), NotAfter: principalNow.AddDate(0, 1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return identity{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

var identities = sync.OnceValue(func() []identity { return []identity{newIdentity(2048), newIdentity(2048)} })

// assertion is written by hand, so that odd headers and number formats can be
// made and no JOSE library checks itself.
func assertion(id identity, alg string, header, claims map[string]any) string {
	h := map[string]any{"alg": alg, "typ": "JWT"}
	maps.Copy(h, header)
	enc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := enc(h) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	var err error
	switch alg {
	case "PS256":
		sig, err = rsa.SignPSS(rand.Reader, id.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		sig, err = rsa.SignPKCS1v15(rand.Reader, id.key, crypto.SHA256, sum[:])
	}
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestVerifyAssertion(t *testing.T) {
	ids := identities()
	p := NewServicePrincipal("tenant", "acme", principalNow)
	for _, id := range ids {
		c, err := NewCertificate(id.pem, "")
		if err != nil {
			t.Fatal(err)
		}
		p.Certificates = append(p.Certificates, c)
	}
	endpoint := "https://127.0.0.1:8443/adfs/oauth2/token"
	endpoints := []string{"https://127.0.0.1:8443/t/oauth2/v2.0/token", endpoint}
	s1 := sha1.Sum(ids[1].cert.Raw)
	s256 := sha256.Sum256(ids[1].cert.Raw)
	x5t := map[string]any{"x5t": base64.RawURLEncoding.EncodeToString(s1[:])}
	x5t256 := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(s256[:])}
	at := func(d time.Duration) float64 { return float64(principalNow.Add(d).UnixMilli())/1000 + 0.25 }
	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{
			"iss": p.AppID, "sub": p.AppID, "aud": endpoint, "jti": "1",
			"iat": at(0), "exp": at(10 * time.Minute),
		}
		if change != nil {
			change(c)
		}
		return c
	}
	set := func(k string, v any) map[string]any { return claims(func(c map[string]any) { c[k] = v }) }
	unset := func(k string) map[string]any { return claims(func(c map[string]any) { delete(c, k) }) }
	stranger := newIdentity(2048)

	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"RS256 with x5t", assertion(ids[1], "RS256", x5t, claims(nil)), nil},
		{"PS256 with x5t#S256", assertion(ids[1], "PS256", x5t256, claims(nil)), nil},
		{"padded thumbprint", assertion(ids[1], "RS256", map[string]any{"x5t": base64.URLEncoding.EncodeToString(s1[:])}, claims(nil)), nil},
		{"plain base64 thumbprint", assertion(ids[1], "PS256", map[string]any{"x5t#S256": base64.StdEncoding.EncodeToString(s256[:])}, claims(nil)), nil},
		{"hexadecimal thumbprint", assertion(ids[1], "RS256", map[string]any{"x5t": fmt.Sprintf("%X", s1)}, claims(nil)), nil},
		{"no thumbprint", assertion(ids[1], "RS256", nil, claims(nil)), nil},
		{"audience list", assertion(ids[1], "RS256", x5t, set("aud", []string{"x", endpoint + "/"})), nil},
		{"client id in upper case", assertion(ids[1], "RS256", x5t, set("sub", strings.ToUpper(p.AppID))), nil},
		{"just expired", assertion(ids[1], "RS256", x5t, set("exp", at(-4*time.Minute))), nil},

		{"x5t names another certificate", assertion(ids[0], "RS256", x5t, claims(nil)), ErrAssertionSignature},
		{"x5t is a number", assertion(ids[1], "RS256", map[string]any{"x5t": 5}, claims(nil)), ErrAssertionSignature},
		{"unregistered certificate", assertion(stranger, "RS256", nil, claims(nil)), ErrAssertionSignature},
		{"expired", assertion(ids[1], "RS256", x5t, set("exp", at(-6*time.Minute))), ErrAssertionTime},
		{"early", assertion(ids[1], "RS256", x5t, set("nbf", at(6*time.Minute))), ErrAssertionTime},
		{"issued in the future", assertion(ids[1], "RS256", x5t, set("iat", at(6*time.Minute))), ErrAssertionTime},
		{"for an hour", assertion(ids[1], "RS256", x5t, set("exp", at(time.Hour))), nil},
		{"for an hour, by a clock ahead of ours", assertion(ids[1], "RS256", x5t, set("exp", at(time.Hour+4*time.Minute))), nil},
		{"for longer", assertion(ids[1], "RS256", x5t, set("exp", at(time.Hour+6*time.Minute))), ErrAssertionTime},
		{"for ever", assertion(ids[1], "RS256", x5t, set("exp", 1e12)), ErrAssertionTime},
		{"no exp", assertion(ids[1], "RS256", x5t, unset("exp")), ErrAssertionMalformed},
		{"exp is text", assertion(ids[1], "RS256", x5t, set("exp", "soon")), ErrAssertionMalformed},
		{"exp overflows", assertion(ids[1], "RS256", x5t, set("exp", 1e300)), ErrAssertionMalformed},
		{"other issuer", assertion(ids[1], "RS256", x5t, set("iss", "x")), ErrAssertionClient},
		{"other subject", assertion(ids[1], "RS256", x5t, set("sub", "x")), ErrAssertionClient},
		{"no issuer", assertion(ids[1], "RS256", x5t, unset("iss")), ErrAssertionClient},
		{"other audience", assertion(ids[1], "RS256", x5t, set("aud", "https://login.example/token")), ErrAssertionAudience},
		{"no audience", assertion(ids[1], "RS256", x5t, unset("aud")), ErrAssertionAudience},
		{"other algorithm", assertion(ids[1], "RS512", x5t, claims(nil)), ErrAssertionMalformed},
		{"empty", "", ErrAssertionMalformed},
		{"huge", strings.Repeat("x", 1<<20), ErrAssertionMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := p.VerifyAssertion(tt.token, endpoints, principalNow); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
		})
	}

	late := principalNow.AddDate(0, 2, 0)
	good := assertion(ids[1], "RS256", x5t, set("exp", late.Add(time.Minute).Unix()))
	if _, err := p.VerifyAssertion(good, endpoints, late); !errors.Is(err, ErrAssertionTime) {
		t.Errorf("expired certificate: %v", err)
	}
	if _, err := (ServicePrincipal{}).VerifyAssertion(good, endpoints, principalNow); !errors.Is(err, ErrAssertionSignature) {
		t.Errorf("principal without certificates: %v", err)
	}
}

func TestNewCertificate(t *testing.T) {
	id := identities()[0]
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(id.key)})
	c, err := NewCertificate(append(keyPEM, id.pem...), "mine")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(c.PEM, []byte("PRIVATE")) || !bytes.Equal(c.PEM, id.pem) {
		t.Error("kept something else than the certificate")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &ec.PublicKey, ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"no PEM":          []byte("x"),
		"key only":        keyPEM,
		"garbage":         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"elliptic curve":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"too short a key": newIdentity(1024).pem,
	} {
		if _, err := NewCertificate(text, ""); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	p := ServicePrincipal{Secrets: make([]Secret, 1, 4), Certificates: make([]Certificate, 1, 4)}
	q := p.Clone()
	q.Secrets[0].KeyID, q.Certificates[0].KeyID = "x", "x"
	if p.Secrets[0].KeyID != "" || p.Certificates[0].KeyID != "" {
		t.Error("a clone's change reached the original")
	}
}

func FuzzVerifyAssertion(f *testing.F) {
	id := identities()[0]
	c, err := NewCertificate(id.pem, "")
	if err != nil {
		f.Fatal(err)
	}
	p := ServicePrincipal{AppID: "app", Certificates: []Certificate{c}}
	f.Add(`{"alg":"RS256"}`, `{"iss":"app","sub":"app","aud":"u","exp":1772352600.5}`)
	f.Add(`{"alg":"PS256","x5t":"AA"}`, `{"exp":1e9}`)
	f.Add(`{"alg":"none"}`, `{}`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		enc := base64.RawURLEncoding.EncodeToString
		text := enc([]byte(header)) + "." + enc([]byte(claims))
		// An unsigned text never passes.
		if _, err := p.VerifyAssertion(text+"."+enc(make([]byte, 256)), []string{"u"}, principalNow); err == nil {
			t.Fatalf("accepted unsigned %s.%s", header, claims)
		}
		// Signed claims reach the claim checks, which must hold for any JSON.
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(nil, id.key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.VerifyAssertion(text+"."+enc(sig), []string{"u"}, principalNow)
		if err != nil {
			return
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(claims), &m); err != nil {
			t.Fatalf("accepted %s: %v", claims, err)
		}
		iss, _ := m["iss"].(string)
		sub, _ := m["sub"].(string)
		if !strings.EqualFold(iss, "app") || !strings.EqualFold(sub, "app") || m["exp"] == nil || m["aud"] == nil {
			t.Fatalf("accepted %s.%s", header, claims)
		}
	})
}
