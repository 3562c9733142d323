package access

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAssertionsAreTakenOnce(t *testing.T) {
	var a Assertions
	at := principalNow
	one := Assertion{Client: "app", ID: sha256.Sum256([]byte("1")), Expires: at.Add(10 * time.Minute)}
	other := one
	other.ID = sha256.Sum256([]byte("2"))
	for _, tt := range []struct {
		name     string
		v        Assertion
		audience string
		after    time.Duration
		want     error
	}{
		{"the first time", one, "https://a", 0, nil},
		{"again", one, "https://a", time.Second, ErrAssertionUsed},
		{"for another audience", one, "https://b", time.Second, nil},
		{"another one", other, "https://a", time.Second, nil},
		{"at its end", one, "https://a", 10 * time.Minute, ErrAssertionUsed},
		{"as long as a slow clock would take it", one, "https://b", 15 * time.Minute, ErrAssertionUsed},
	} {
		if err := a.Take(tt.v, tt.audience, at.Add(tt.after)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// The text of an assertion can be changed where no signature looks, and the
// assertion is the same.
func TestTextOfAnAssertionDoesNotNameIt(t *testing.T) {
	id := identities()[0]
	c, err := NewCertificate(id.pem, "")
	if err != nil {
		t.Fatal(err)
	}
	p := ServicePrincipal{AppID: "app", Certificates: []Certificate{c}}
	text := assertion(id, "RS256", nil, map[string]any{"iss": "app", "sub": "app", "aud": "u", "exp": principalNow.Add(time.Minute).Unix()})
	first, err := p.VerifyAssertion(text, []string{"u"}, principalNow)
	if err != nil || first.Client != "app" || !first.Expires.Equal(principalNow.Add(time.Minute)) {
		t.Fatalf("got %+v, %v", first, err)
	}
	other := assertion(id, "RS256", nil, map[string]any{"iss": "app", "sub": "app", "aud": "u", "exp": principalNow.Add(time.Minute).Unix(), "jti": "2"})
	if second, err := p.VerifyAssertion(other, []string{"u"}, principalNow); err != nil || second.ID == first.ID {
		t.Errorf("another jti is no other assertion: %v", err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	for name, changed := range map[string]string{
		"unused bits at the end": text[:len(text)-1] + string(alphabet[last^1]),
		"a line break":           text + "\n",
		"padding":                text + "==",
	} {
		again, err := p.VerifyAssertion(changed, []string{"u"}, principalNow)
		if err == nil && again != first {
			t.Errorf("%s makes another one of it", name)
		}
	}
}

func TestAssertionsAreBounded(t *testing.T) {
	var a Assertions
	at := principalNow
	take := func(client string, n int, at time.Time) error {
		return a.Take(Assertion{Client: client, ID: sha256.Sum256([]byte(strconv.Itoa(n))), Expires: at.Add(time.Minute)}, "u", at)
	}
	for n := range maxAssertions {
		if err := take("busy", n, at); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
	if err := take("busy", maxAssertions, at); !errors.Is(err, ErrAssertionsMany) {
		t.Errorf("one more: %v", err)
	}
	if err := take("calm", 0, at); err != nil {
		t.Errorf("another client: %v", err)
	}
	later := at.Add(time.Minute + tokenSkew + time.Second)
	if err := take("busy", maxAssertions, later); err != nil {
		t.Errorf("when those are over: %v", err)
	}
	if n := len(a.clients); n != 1 || len(a.clients["busy"]) != 1 {
		t.Errorf("%d clients and %d assertions are kept, want 1 and 1", n, len(a.clients["busy"]))
	}
}
