package webhook

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		url             string
		public, private bool // accepted without and with AllowPrivate
	}{
		{"https://example.com", true, true},
		{"https://example.com/api/hook?code=x&y=%2F", true, true},
		{"HTTPS://EXAMPLE.com:8443/", true, true},
		{"https://example.com./", true, true},
		{"https://bücher.example/", true, true},
		{"https://93.184.215.14/hook", true, true},
		{"https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", true, true},
		{"http://example.com/", false, true},
		{"http://localhost:9000/", false, true},
		{"https://localhost/", false, true},
		{"https://LOCALHOST./", false, true},
		{"https://a.localhost/", false, true},
		{"https://127.0.0.1/", false, true},
		{"https://10.0.0.1/", false, true},
		{"https://[::1]/", false, true},
		{"https://[::ffff:127.0.0.1]/", false, true},
		{"https://169.254.169.254/metadata", false, false},
		{"https://[fe80::1%25eth0]/", false, false},
		{"https://0.0.0.0/", false, false},
		{"https://2130706433/", false, false},
		{"https://0x7f000001/", false, false},
		{"https://0x7f.1/", false, false},
		{"https://0177.0.0.1/", false, false},
		{"https://127.1/", false, false},
		{"https://1.2.3.4./", false, false},
		{"https://example.com..", false, false},
		{"https://user@example.com/", false, false},
		{"https://user:pw@example.com/", false, false},
		{"https://example.com/#part", false, false},
		{"https://example.com/#", false, false},
		{"https://example.com:0/", false, false},
		{"https://example.com:99999/", false, false},
		{"https:///path", false, false},
		{"https://:443/", false, false},
		{"https:example.com", false, false},
		{"example.com/hook", false, false},
		{"/hook", false, false},
		{"", false, false},
		{"ftp://example.com/", false, false},
		{"file:///etc/passwd", false, false},
		{"https://exa mple.com/", false, false},
		{"https://example.com/\x7f", false, false},
		{"https://example.com/%zz", false, false},
		{"https://example.com/" + strings.Repeat("x", maxURL), false, false},
	} {
		for allow, want := range map[bool]bool{false: tt.public, true: tt.private} {
			err := NewClient(Options{AllowPrivate: allow}).Check(tt.url)
			if (err == nil) != want {
				t.Errorf("Check(%.60q), private %v: %v, want accepted %v", tt.url, allow, err, want)
			}
			if err == nil {
				continue
			}
			var ue *URLError
			if !errors.As(err, &ue) || !strings.HasSuffix(err.Error(), ".") {
				t.Errorf("Check(%.60q) = %v, want a sentence in a *URLError", tt.url, err)
			}
		}
	}
}

func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.com/a%2Fb/c?code=secret#x": "https://example.com/a%2Fb/c",
		"https://user:secret@example.com:8443/":     "https://example.com:8443/",
		"https://example.com?code=secret":           "https://example.com",
		"mailto:secret@example.com":                 "(not a URL)",
		"https://exa mple/?secret":                  "(not a URL)",
	} {
		if got := RedactURL(in); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://example.com/?q", "https://0x7f.1", "https://[::ffff:10.0.0.1]:1/", "https://u@h", "//h"} {
		f.Add(s)
	}
	c := NewClient(Options{})
	f.Fuzz(func(t *testing.T, s string) {
		shown := RedactURL(s)
		if strings.ContainsAny(shown, "?#") {
			t.Errorf("RedactURL(%q) = %q", s, shown)
		}
		if c.Check(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			t.Errorf("Check accepts %q", s)
		}
	})
}
