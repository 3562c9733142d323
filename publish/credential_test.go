package publish

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
)

func TestCredentials(t *testing.T) {
	sas := func(t *testing.T, resource string, expires time.Time, key string) string {
		t.Helper()
		token, err := access.SignSAS(resource, expires, key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, tt := range []struct {
		name   string
		setup  func(*Handler, *Source)
		set    func(t *testing.T, r *http.Request)
		status int
	}{
		{"first key", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-key", key1) }, 200},
		{"second key", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-key", key2) }, 200},
		{"escaped query key", nil, func(_ *testing.T, r *http.Request) { r.URL.RawQuery = "aeg-sas-key=" + url.QueryEscape(key2) }, 200},
		{"query key with plus signs", nil, func(_ *testing.T, r *http.Request) {
			r.URL.RawQuery = "api-version=2018-01-01&aeg-sas-key=" + key2
		}, 200},
		{"sas header", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", sas(t, r.URL.String(), now.Add(time.Hour), key2))
		}, 200},
		{"sas authorization", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "SharedAccessSignature "+sas(t, r.URL.String(), now.Add(time.Hour), key1))
		}, 200},
		{"expired sas", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", sas(t, r.URL.String(), now.Add(-time.Hour), key1))
		}, 401},
		{"sas of another resource", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", sas(t, strings.Replace(r.URL.String(), "contoso", "other", 1), now.Add(time.Hour), key1))
		}, 401},
		{"sas with a stranger's key", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", sas(t, r.URL.String(), now.Add(time.Hour), access.NewKey()))
		}, 401},
		{"a key in place of a sas", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-token", key1) }, 400},
		{"a key in place of a sas, in authorization", nil, func(_ *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "SharedAccessSignature "+key1)
		}, 400},
		{"empty sas", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-token", "") }, 400},
		{"sas without expiry", nil, func(_ *testing.T, r *http.Request) { r.Header.Set("aeg-sas-token", "r=a&s=AAAA") }, 400},
		{"a key in place of a sas, where keys are disabled", func(_ *Handler, s *Source) { s.DisableLocalAuth = true }, func(_ *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", key1)
		}, 401},
		{"a key in place of a sas, good query key", nil, func(_ *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", key1)
			r.URL.RawQuery = "aeg-sas-key=" + url.QueryEscape(key1)
		}, 200},
		{"wrong key, good sas", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-key", "wrong")
			r.Header.Set("aeg-sas-token", sas(t, r.URL.String(), now.Add(time.Hour), key1))
		}, 200},
		{"bad sas header, good authorization", nil, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", "r=a&e=b&s=c")
			r.Header.Set("Authorization", "sharedaccesssignature "+sas(t, r.URL.String(), now.Add(time.Hour), key1))
		}, 200},
		{"empty key, good query key", nil, func(_ *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-key", "")
			r.URL.RawQuery = "aeg-sas-key=" + url.QueryEscape(key1)
		}, 200},
		{"key beside a foreign scheme", nil, func(_ *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "Basic eDp5")
			r.Header.Set("aeg-sas-key", key1)
		}, 200},
		{"bearer", func(h *Handler, _ *Source) {
			h.Tokens, h.Authorizer = fakeTokens{"good": "sender"}, fakeAuthorizer("sender")
		}, func(_ *testing.T, r *http.Request) { r.Header.Set("Authorization", "bearer good") }, 200},
		{"bearer decides alone", func(h *Handler, _ *Source) {
			h.Tokens, h.Authorizer = fakeTokens{"good": "sender"}, fakeAuthorizer("sender")
		}, func(_ *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "Bearer good")
			r.Header.Set("aeg-sas-key", "")
		}, 200},
		{"bearer where keys are disabled", func(h *Handler, s *Source) {
			h.Tokens, h.Authorizer, s.DisableLocalAuth = fakeTokens{"good": "sender"}, fakeAuthorizer("sender"), true
		}, func(_ *testing.T, r *http.Request) { r.Header.Set("Authorization", "Bearer good") }, 200},
		{"sas where keys are disabled", func(_ *Handler, s *Source) { s.DisableLocalAuth = true }, func(t *testing.T, r *http.Request) {
			r.Header.Set("aeg-sas-token", sas(t, r.URL.String(), now.Add(time.Hour), key1))
		}, 401},
		{"no keys at all", func(_ *Handler, s *Source) { s.Keys = []string{"", ""} }, func(_ *testing.T, r *http.Request) {
			r.URL.RawQuery = "aeg-sas-key="
		}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.setup)
			a := f.send(t, one, func(r *http.Request) {
				r.Header.Del("aeg-sas-key")
				tt.set(t, r)
			})
			if a.status != tt.status {
				t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
			}
			if a.status == 400 && strings.Contains(tt.name, "sas") && !strings.Contains(a.body, access.SASForm) {
				t.Errorf("%s does not show the form", a.body)
			}
			if len(f.log.entries) != 0 != (tt.status == 200) {
				t.Errorf("%d entries stored", len(f.log.entries))
			}
			for _, secret := range []string{key1, key2} {
				if strings.Contains(a.body+f.logged.String(), secret) {
					t.Errorf("a key was shown: %s %s", a.body, f.logged)
				}
			}
		})
	}
}

// sasGenerator writes tokens as one known client does.
type sasGenerator struct {
	name, query, expiry string
	escape              func(string) string
}

func sasGenerators(expires time.Time) []sasGenerator {
	lower := func(s string) string { // .NET's HttpUtility.UrlEncode
		s = url.QueryEscape(s)
		for i := 0; i+2 < len(s); i++ {
			if s[i] == '%' {
				s = s[:i] + strings.ToLower(s[i:i+3]) + s[i+3:]
			}
		}
		return s
	}
	component := func(plain string) func(string) string { // JavaScript and Python
		return func(s string) string {
			s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
			for _, c := range plain {
				s = strings.ReplaceAll(s, url.QueryEscape(string(c)), string(c))
			}
			return s
		}
	}
	return []sasGenerator{
		{"C# sample", "", expires.Format("1/2/2006 3:04:05 PM"), lower},
		{"Python sample", "", expires.Format("2006-01-02T15:04:05.000000"), url.QueryEscape},
		{".NET SDK", "?api-version=2018-01-01", expires.Format("1/2/2006 3:04:05 PM -07:00"), lower},
		{".NET SDK, narrow blank", "?api-version=2018-01-01", expires.Format("1/2/2006 3:04:05\u202fPM -07:00"), lower},
		{"Java SDK", "?api-version=2018-01-01", expires.Format("1/2/2006 3:4:5 PM"), url.QueryEscape},
		{"JS SDK", "?apiVersion=2018-01-01", expires.Format("1/2/2006 3:04:05 PM"), component("!'()*~")},
		{"Python SDK", "?apiVersion=2018-01-01", expires.Format("2006-01-02 15:04:05.000000-07:00"), component("~()*!.'")},
		{"Go SDK", "", expires.Format(time.RFC3339), url.QueryEscape},
	}
}

func (g sasGenerator) token(t *testing.T, endpoint, key string) string {
	t.Helper()
	signed := "r=" + g.escape(endpoint+g.query) + "&e=" + g.escape(g.expiry)
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return signed + "&s=" + g.escape(base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

// TestSASGenerators publishes to a namespace with tokens as each known client
// writes them.
func TestSASGenerators(t *testing.T) {
	for _, g := range sasGenerators(now.Add(2*time.Hour + 3*time.Minute)) {
		t.Run(g.name, func(t *testing.T) {
			f := newFixture(t, nil)
			token := g.token(t, f.server.URL+path, key1)
			a := f.send(t, one, func(r *http.Request) {
				r.Header.Del("aeg-sas-key")
				r.Header.Set("aeg-sas-token", token)
				r.URL.RawQuery = "api-version=2018-01-01"
			})
			if a.status != 200 {
				t.Errorf("%s: %d %s", token, a.status, a.body)
			}
		})
	}
}
