package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination/blob"
)

func TestOptionsNameTheFlagThatIsWrong(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, set := range map[string]func(*Options){
		"--data":                         func(o *Options) { o.Data = "" },
		"--tls-key":                      func(o *Options) { o.TLSCert = "x" },
		"--replicas is -1":               func(o *Options) { o.Replicas = -1 },
		"--replicas 3":                   func(o *Options) { o.Replicas = 3 },
		`--listen "8443"`:                func(o *Options) { o.Listen = "8443" },
		`--listen-http "x"`:              func(o *Options) { o.ListenHTTP = "x" },
		"--public-url":                   func(o *Options) { o.PublicURL = "http://x" },
		`--public-url "https:/`:          func(o *Options) { o.PublicURL = "https://x/path" },
		"--trusted-proxies":              func(o *Options) { o.TrustedProxies = []string{"10.0.0.0/8", "proxy"} },
		`resource: "x"`:                  func(o *Options) { o.Bind = map[string]string{"x": "file:///y"} },
		"--retry-schedule holds 0s":      func(o *Options) { o.RetrySchedule = []time.Duration{time.Second, 0} },
		"--dead-letter-delay is 25h":     func(o *Options) { o.DeadLetterDelay = 25 * time.Hour },
		"--ingress-bytes are 0 and 5000": func(o *Options) { o.IngressBytes = 5000 },
		"--validation-window is -1s":     func(o *Options) { o.ValidationWindow = -time.Second },
		`--webhook-token-url "http://x"`: func(o *Options) { o.WebhookTokens = WebhookTokens{URL: "http://x"} },
		"--webhook-client-id":            func(o *Options) { o.WebhookTokens = WebhookTokens{URL: "https://x/token"} },
		"--bind /subscriptions":          func(o *Options) { o.Bind = map[string]string{"/subscriptions/s": "s3://y"} },
	} {
		o := DefaultOptions()
		set(&o)
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	o := DefaultOptions()
	o.TrustedProxies, o.PublicURL = []string{"10.1.2.3/8", "192.0.2.1"}, "https://x.example/"
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTheLongestBindingWins(t *testing.T) {
	o := Options{Bind: map[string]string{
		"/subscriptions/s1":                    "file:///all",
		"/subscriptions/S1/resourceGroups/rg/": "file:///group",
		"/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/one": "file:///one",
	}}
	bindings, err := o.bindings()
	if err != nil {
		t.Fatal(err)
	}
	b := &blobStores{root: "/data/blobs", bindings: bindings}
	account := func(group, name string) string {
		return "/subscriptions/s1/resourceGroups/" + group + "/providers/Microsoft.Storage/storageAccounts/" + name
	}
	for id, want := range map[string]string{
		account("rg", "one"):                        "/one",
		strings.ToUpper(account("rg", "one")) + "/": "/one",
		account("rg", "two"):                        "/group",
		account("rg-2", "one"):                      "/all", // rg is not the beginning of rg-2
		// Without one it is a folder of its own, however the id is spelled.
		strings.Replace(account("rg", "one"), "s1", "s2", 1):                       "/data/blobs/one@rg@s2",
		strings.ToUpper(strings.Replace(account("rg", "one"), "s1", "s2", 1)):      "/data/blobs/one@rg@s2",
		strings.Replace(account("rg.2_(x)", "one"), "s1", "s2", 1):                 "/data/blobs/one@rg.2_(x)@s2",
		strings.Replace(account("größe", "one"), "s1", "s2", 1):                    "/data/blobs/one@" + hashed("größe") + "@s2",
		strings.Replace(account(strings.Repeat("r", 91), "one"), "s1", "s2", 1):    "/data/blobs/one@" + hashed(strings.Repeat("r", 91)) + "@s2",
		strings.Replace(account("rg", "one"), "s1", "s2/resourceGroups/rg/x@y", 1): "/data/blobs/unnamed@" + hashed("/subscriptions/s2/resourcegroups/rg/x@y/resourcegroups/rg/providers/microsoft.storage/storageaccounts/one"),
		// What an id says must never lead out of the folder, nor into that of another.
		strings.Replace(account("rg", ".."), "s1", "s2", 1):     "/data/blobs/unnamed@" + hashed(strings.ToLower(strings.Replace(account("rg", ".."), "s1", "s2", 1))),
		strings.Replace(account("rg", "."), "s1", "s2", 1):      "/data/blobs/unnamed@" + hashed(strings.ToLower(strings.Replace(account("rg", "."), "s1", "s2", 1))),
		strings.Replace(account("rg", `a\b`), "s1", "s2", 1):    "/data/blobs/unnamed@" + hashed(strings.ToLower(strings.Replace(account("rg", `a\b`), "s1", "s2", 1))),
		strings.Replace(account("rg", "a.b"), "s1", "s2", 1):    "/data/blobs/unnamed@" + hashed(strings.ToLower(strings.Replace(account("rg", "a.b"), "s1", "s2", 1))),
		strings.Replace(account("rg", "one@rg"), "s1", "s2", 1): "/data/blobs/unnamed@" + hashed(strings.ToLower(strings.Replace(account("rg", "one@rg"), "s1", "s2", 1))),
		strings.Replace(account("rg@x", "one"), "s1", "s2", 1):  "/data/blobs/one@" + hashed("rg@x") + "@s2",
		strings.Replace(account("..", "one"), "s1", "s2", 1):    "/data/blobs/one@..@s2",
		strings.Replace(account("rg", "one"), "s1", "..", 1):    "/data/blobs/unnamed@" + hashed("/subscriptions/../resourcegroups/rg/providers/microsoft.storage/storageaccounts/one"),
		"not an id": "/data/blobs/unnamed@" + hashed("not an id"),
	} {
		if diff := cmp.Diff(blob.NewDirectory(want), b.of(id), cmp.AllowUnexported(blob.Directory{})); diff != "" {
			t.Errorf("%s:\n%s", id, diff)
		}
	}
}

func TestTrustPoolSaysWhichFileIsWrong(t *testing.T) {
	if _, err := trustPool(""); err != nil {
		t.Error(err)
	}
	if _, err := trustPool("/no/such.pem"); err == nil || !strings.Contains(err.Error(), "such.pem") {
		t.Errorf("got %v", err)
	}
	if _, err := trustPool("options_test.go"); err == nil || !strings.Contains(err.Error(), "options_test.go") {
		t.Errorf("got %v", err)
	}
}
