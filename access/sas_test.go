package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// escape is the percent-encoding every generator has, apart from which
// characters stay plain, what a blank becomes and the case of the hex digits.
func escape(s, plain, blank, hexDigits string) string {
	const always = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte(always, c) >= 0 || strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteString(blank)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

func dotnetEscape(s string) string { return escape(s, ".!*()", "+", lowerHex) }     // HttpUtility.UrlEncode
func pythonQuote(s string) string  { return escape(s, ".~()*!'", "%20", upperHex) } // quote(s, safe="~()*!.'")
func pythonPlus(s string) string   { return escape(s, ".~", "+", upperHex) }        // quote_plus
func jsEscape(s string) string     { return escape(s, ".!~*'()", "%20", upperHex) } // encodeURIComponent
func goEscape(s string) string     { return escape(s, ".~", "+", upperHex) }        // url.QueryEscape

func sasToken(esc func(string) string, resource, expiry, key string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	signed := "r=" + esc(resource) + "&e=" + esc(expiry)
	m := hmac.New(sha256.New, raw)
	m.Write([]byte(signed))
	return signed + "&s=" + esc(base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

const (
	// The first key's bytes make '+' and '/' appear in keys and signatures.
	key1 = "++++/////+++AAECAwQFBgcICQoLDA0ODw8PDw8PDw8="
	key2 = "c2Vjb25kIGtleSBvZiB0aGUgc2FtZSByZXNvdXJjZSE="
	host = "127.0.0.1:8443"
	path = "/orders.westeurope-1/api/events"
)

var (
	sasReq = SASRequest{Host: host, Path: path}
	sasNow = time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
)

func TestVerifySASGenerators(t *testing.T) {
	endpoint := "https://" + host + path
	// Every row says 21:05:09 UTC, that is 13:05:09 at -08:00.
	expires := time.Date(2026, 3, 1, 21, 5, 9, 0, time.UTC)
	tests := []struct {
		name     string
		esc      func(string) string
		resource string
		expiry   string
	}{
		{"csharp sample", dotnetEscape, endpoint, "3/1/2026 9:05:09 PM"},
		{"csharp sample on newer .NET", dotnetEscape, endpoint, "3/1/2026 9:05:09\u202fPM"},
		{"no-break space", dotnetEscape, endpoint, "3/1/2026 9:05:09\u00a0PM"},
		{"python sample", pythonPlus, endpoint, "2026-03-01T21:05:09.123456"},
		{"python sample, whole second", pythonPlus, endpoint, "2026-03-01T21:05:09"},
		{"dotnet sdk", dotnetEscape, endpoint + "?api-version=2018-01-01", "3/1/2026 9:05:09 PM +00:00"},
		{"dotnet sdk, newer .NET, other zone", dotnetEscape, endpoint + "?api-version=2018-01-01", "3/1/2026 1:05:09\u202fPM -08:00"},
		{"java sdk", goEscape, endpoint + "?api-version=2018-01-01", "3/1/2026 9:5:9 PM"},
		{"one digit in the form with a zone", dotnetEscape, endpoint, "3/1/2026 9:5:9 PM +00:00"},
		{"one digit in ISO form", pythonPlus, endpoint, "2026-03-01T21:5:9"},
		{"js sdk", jsEscape, endpoint + "?apiVersion=2018-01-01", "3/1/2026 9:05:09 PM"},
		{"python sdk, naive", pythonQuote, endpoint + "?apiVersion=2018-01-01", "2026-03-01 21:05:09"},
		{"python sdk, microseconds and zone", pythonQuote, endpoint + "?apiVersion=2018-01-01", "2026-03-01 21:05:09.000001+00:00"},
		{"python sdk, other zone", pythonQuote, endpoint + "?apiVersion=2018-01-01", "2026-03-01 13:05:09-08:00"},
		{"go", goEscape, endpoint, "2026-03-01T21:05:09Z"},
		{"go with offset", goEscape, endpoint, "2026-03-01T22:05:09+01:00"},
	}
	for _, tt := range tests {
		for i, key := range []string{key1, key2} {
			t.Run(fmt.Sprintf("%s/key%d", tt.name, i+1), func(t *testing.T) {
				token := sasToken(tt.esc, tt.resource, tt.expiry, key)
				keys := []string{key1, key2}
				if err := VerifySAS(token, sasReq, keys, sasNow); err != nil {
					t.Fatalf("%s: %v", token, err)
				}
				if err := VerifySAS(token, sasReq, keys, expires.Add(4*time.Minute)); err != nil {
					t.Errorf("within clock difference: %v", err)
				}
				if err := VerifySAS(token, sasReq, keys, expires.Add(6*time.Minute)); !errors.Is(err, ErrSASExpired) {
					t.Errorf("after expiry: got %v", err)
				}
				if err := VerifySAS(token, sasReq, []string{NewKey()}, sasNow); !errors.Is(err, ErrSASSignature) {
					t.Errorf("other key: got %v", err)
				}
				other := SASRequest{Host: host, Path: "/other.westeurope-1/api/events"}
				if err := VerifySAS(token, other, keys, sasNow); !errors.Is(err, ErrSASResource) {
					t.Errorf("other resource: got %v", err)
				}
				tampered := strings.Replace(token, "2026", "2027", 1)
				if err := VerifySAS(tampered, sasReq, keys, sasNow); !errors.Is(err, ErrSASSignature) {
					t.Errorf("tampered: got %v", err)
				}
			})
		}
	}
}

func TestVerifySASRefuses(t *testing.T) {
	good := sasToken(goEscape, "https://"+host+path, "2026-03-01T21:00:00Z", key1)
	signed := func(text string) string {
		raw, _ := base64.StdEncoding.DecodeString(key1)
		m := hmac.New(sha256.New, raw)
		m.Write([]byte(text))
		return text + "&s=" + goEscape(base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	emptyKeyed := func() string {
		m := hmac.New(sha256.New, nil)
		text := "r=https%3A%2F%2F127.0.0.1%3A8443&e=2026-03-01T21%3A00%3A00Z"
		m.Write([]byte(text))
		return text + "&s=" + goEscape(base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}()
	tests := []struct {
		name, token string
		keys        []string
		want        error
	}{
		{"empty", "", []string{key1}, ErrSASMalformed},
		{"no signature", "r=a&e=b", []string{key1}, ErrSASMalformed},
		{"signature not escaped well", "r=a&e=b&s=%zz", []string{key1}, ErrSASSignature},
		{"signature not base64", "r=a&e=b&s=***", []string{key1}, ErrSASSignature},
		{"empty signature", "r=a&e=b&s=", []string{key1}, ErrSASSignature},
		{"cut signature", good[:len(good)-12], []string{key1}, nil},
		{"no keys", good, nil, ErrSASSignature},
		{"empty key signs nothing", emptyKeyed, []string{""}, ErrSASSignature},
		{"key that is not base64", good, []string{"not base64!"}, ErrSASSignature},
		{"resource missing", signed("e=2026-03-01T21%3A00%3A00Z"), []string{key1}, ErrSASMalformed},
		{"expiry missing", signed("r=https%3A%2F%2F127.0.0.1%3A8443"), []string{key1}, ErrSASMalformed},
		{"expiry twice", signed("r=127.0.0.1&e=2026-03-01T21%3A00%3A00Z&e=2036-03-01T21%3A00%3A00Z"), []string{key1}, ErrSASMalformed},
		{"unreadable expiry", signed("r=127.0.0.1&e=tomorrow"), []string{key1}, ErrSASExpiry},
		{"a key", key1, []string{key1}, ErrSASMalformed},
		{"no resource, signature of a stranger", signed("e=2026-03-01T21%3A00%3A00Z"), []string{key2}, ErrSASMalformed},
		{"all parts, signature of a stranger", good, []string{key2}, ErrSASSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := VerifySAS(tt.token, sasReq, tt.keys, sasNow)
			if err == nil {
				t.Fatal("accepted")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
		})
	}
	if err := VerifySAS(good, sasReq, []string{"", key1}, sasNow); err != nil {
		t.Fatalf("the token the table varies: %v", err)
	}
}

func TestVerifySASResource(t *testing.T) {
	tests := []struct {
		resource, host, path string
		want                 bool
	}{
		{"https://h:8443/ns.r-1/api/events", "h:8443", "/ns.r-1/api/events", true},
		{"https://h:8443/ns.r-1/api/events/", "h:8443", "/ns.r-1/api/events", true},
		{"HTTPS://H:8443/NS.R-1/API/EVENTS", "h:8443", "/ns.r-1/api/events", true},
		{"https://h:8443/ns.r-1", "h:8443", "/ns.r-1/api/events", true},
		{"https://h:8443/ns.r-1/", "h:8443", "/ns.r-1/api/events", true},
		{"https://h:8443/ns.r", "h:8443", "/ns.r-1/api/events", false},
		{"https://h:8443/ns.r-1/api/events/more", "h:8443", "/ns.r-1/api/events", false},
		{"https://h:8443", "h:8443", "/ns.r-1/api/events", true},
		{"https://h:8443/", "h:8443", "/ns.r-1/api/events", true},
		{"h:8443", "h:8443", "/ns.r-1/api/events", true},
		{"h", "h:8443", "/ns.r-1/api/events", true},
		{"h/ns.r-1/api/events", "h:8443", "/ns.r-1/api/events", true},
		{"http://h:8443/api/events", "h:8443", "/api/events", true},
		{"https://h:443/api/events", "h", "/api/events", true},
		{"http://h:80/api/events", "h", "/api/events", true},
		{"http://h:443/api/events", "h", "/api/events", false},
		{"https://h:8443/api/events", "h", "/api/events", false},
		{"https://h:8443/api/events", "h:9443", "/api/events", false},
		{"https://ns.r-1.example.com/eventGrid/api/events", "ns.r-1.example.com", "/api/events", true},
		{"https://ns.r-1.example.com/api/events", "ns.r-1.example.com", "/eventGrid/api/events", true},
		{"https://h/ns.r-1/eventGrid/api/events?x=y", "h", "/ns.r-1/api/events", true},
		{"https://h/myeventgrid/api/events", "h", "/api/events", false},
		{"https://h/myeventgrid/api/events", "h", "/my/api/events", false},
		{"https://other/api/events", "h", "/api/events", false},
		{"https://h.evil.example/api/events", "h", "/api/events", false},
		{"https://h@evil/api/events", "h", "/api/events", false},
		{"https:///api/events", "", "/api/events", false},
		{"?x", "h", "/api/events", false},
		{"https://[::1]:8443/api/events", "[::1]:8443", "/api/events", true},
		{"https://[::1]/api/events", "[::1]:8443", "/api/events", true},
		{"https://[::2]/api/events", "[::1]", "/api/events", false},
	}
	for _, tt := range tests {
		t.Run(tt.resource+" for "+tt.host+tt.path, func(t *testing.T) {
			token := sasToken(goEscape, tt.resource, "2026-03-01T21:00:00Z", key1)
			err := VerifySAS(token, SASRequest{Host: tt.host, Path: tt.path}, []string{key1}, sasNow)
			if tt.want && err != nil {
				t.Errorf("refused: %v", err)
			}
			if !tt.want && !errors.Is(err, ErrSASResource) {
				t.Errorf("got %v, want %v", err, ErrSASResource)
			}
		})
	}
}

func TestSignSASRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := NewKey()
		expires := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "expires"), 0)
		p := "/" + rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(t, "name") + "/api/events"
		token, err := SignSAS("https://"+host+p, expires, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifySAS(token, SASRequest{Host: host, Path: p}, []string{key}, expires); err != nil {
			t.Fatalf("%s: %v", token, err)
		}
	})
}

func TestSignSASNeedsBase64(t *testing.T) {
	if _, err := SignSAS("https://h", sasNow, "no!"); err == nil {
		t.Fatal("signed with a key that is not base64")
	}
}

func TestVerifyKey(t *testing.T) {
	tests := []struct {
		presented string
		keys      []string
		want      bool
	}{
		{key1, []string{key1, key2}, true},
		{key2, []string{key1, key2}, true},
		{key1, []string{key2}, false},
		{key1[:10], []string{key1}, false},
		{"", []string{"", ""}, false},
		{"", nil, false},
		{key1, nil, false},
	}
	for _, tt := range tests {
		if got := VerifyKey(tt.presented, tt.keys...); got != tt.want {
			t.Errorf("VerifyKey(%q, %q) = %v", tt.presented, tt.keys, got)
		}
	}
	blanked := strings.ReplaceAll(key1, "+", " ")
	if VerifyKey(blanked, key1) {
		t.Error("a header's blank was taken for a plus")
	}
	if !VerifyQueryKey(blanked, key1) || !VerifyQueryKey(key1, key1) {
		t.Error("a query's key was refused")
	}
	if a, b := NewKey(), NewKey(); a == b || len(a) != 44 {
		t.Errorf("keys %q and %q", a, b)
	}
}

func FuzzVerifySAS(f *testing.F) {
	f.Add(sasToken(goEscape, "https://"+host+path, "2026-03-01T21:00:00Z", key1))
	f.Add(sasToken(dotnetEscape, "https://"+host+path, "3/1/2026 9:05:09\u202fPM +00:00", key2))
	f.Add("r=&e=&s=")
	f.Add("&s=&s=")
	f.Fuzz(func(t *testing.T, token string) {
		// Without a key nothing passes, whatever the text is.
		if err := VerifySAS(token, sasReq, []string{"", "!"}, sasNow); err == nil {
			t.Fatalf("accepted %q without a key", token)
		}
		// With one, exactly what was signed does: signing the fuzzed text must
		// never lead to another error than those that say why.
		signed, _, _ := strings.Cut(token, "&s=")
		raw, _ := base64.StdEncoding.DecodeString(key1)
		m := hmac.New(sha256.New, raw)
		m.Write([]byte(signed))
		err := VerifySAS(signed+"&s="+goEscape(base64.StdEncoding.EncodeToString(m.Sum(nil))), sasReq, []string{key1}, sasNow)
		if errors.Is(err, ErrSASSignature) {
			t.Fatalf("own signature refused for %q", signed)
		}
		if err != nil && !errors.Is(err, ErrSASMalformed) && !errors.Is(err, ErrSASExpiry) && !errors.Is(err, ErrSASExpired) && !errors.Is(err, ErrSASResource) {
			t.Fatalf("untyped error: %v", err)
		}
	})
}

func FuzzParseSASExpiry(f *testing.F) {
	for _, s := range []string{
		"3/1/2026 9:05:09 PM", "3/1/2026 9:05:09\u202fPM +00:00", "2026-03-01T21:05:09.123456",
		"2026-03-01 21:05:09+01:00", "2026-03-01T21:05:09Z", "", "1/1/1 1:1:1 am", "2026-03-01T1:1:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSASExpiry(s)
		if err != nil {
			if !errors.Is(err, ErrSASExpiry) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		// What was understood means the same in the form that has no doubt.
		again, err := ParseSASExpiry(got.UTC().Format(time.RFC3339Nano))
		if y := got.UTC().Year(); y >= 0 && y <= 9999 && (err != nil || !again.Equal(got)) {
			t.Fatalf("%q: %v became %v, %v", s, got, again, err)
		}
	})
}

func BenchmarkVerifyKey(b *testing.B) {
	for b.Loop() {
		if !VerifyKey(key2, key1, key2) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkVerifySAS(b *testing.B) {
	token := sasToken(dotnetEscape, "https://"+host+path+"?api-version=2018-01-01", "3/1/2026 9:05:09 PM +00:00", key2)
	keys := []string{key1, key2}
	b.ReportAllocs()
	for b.Loop() {
		if err := VerifySAS(token, sasReq, keys, sasNow); err != nil {
			b.Fatal(err)
		}
	}
}
