package webhook

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/intertie/intertie/destination"
)

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		addr            string
		public, private bool // permitted without and with AllowPrivate
	}{
		{"93.184.215.14", true, true},
		{"2606:2800:21f:cb07:6820:80da:af6b:8b2c", true, true},
		{"127.0.0.1", false, true},
		{"127.9.9.9", false, true},
		{"10.1.2.3", false, true},
		{"172.16.0.1", false, true},
		{"172.32.0.1", true, true},
		{"192.168.1.1", false, true},
		{"100.64.0.1", false, true},
		{"::1", false, true},
		{"fd12:3456::1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:93.184.215.14", true, true},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"169.254.169.254", false, false},
		{"169.254.0.1", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
		{"255.255.255.255", false, false},
		{"fd00:ec2::254", false, false},
		{"100.100.100.200", false, false},
		{"168.63.129.16", false, false},
		{"64:ff9b::7f00:1", false, false},     // NAT64
		{"2002:7f00:1::1", false, false},      // 6to4
		{"::127.0.0.1", false, false},         // IPv4-compatible
		{"2001:0:4136:e378::1", false, false}, // Teredo
	} {
		a := netip.MustParseAddr(tt.addr)
		for allow, want := range map[bool]bool{false: tt.public, true: tt.private} {
			g := newGuard(allow)
			if got := g.check(a) == nil; got != want {
				t.Errorf("check(%s), private %v: permitted %v, want %v", a, allow, got, want)
			}
			if got := g.control("tcp4", netip.AddrPortFrom(a, 8080).String(), nil) == nil; got != want {
				t.Errorf("control(%s), private %v: permitted %v, want %v", a, allow, got, want)
			}
		}
	}
	for _, network := range []string{"udp4", "unix", "tcp"} {
		if newGuard(true).control(network, "127.0.0.1:80", nil) == nil {
			t.Errorf("network %s is permitted", network)
		}
	}
	if newGuard(true).control("tcp4", "localhost:80", nil) == nil {
		t.Error("an address that is a name is permitted")
	}
}

// A name that is fine when it is registered and points to the metadata service
// when an event is delivered must not get the event there.
func TestGuardSeesTheAddressOfEachDial(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	var addr atomic.Pointer[netip.Addr]
	point := func(s string) { a := netip.MustParseAddr(s); addr.Store(&a) }
	point("127.0.0.1")
	c := newTestClient(t, Options{Resolver: resolver(t, func() []netip.Addr { return []netip.Addr{*addr.Load()} })})
	target := c.Target("http://hook.test:" + port + "/?code=s3cret")

	if v := target.Deliver(t.Context(), notification()); v.Outcome != destination.Delivered {
		t.Fatalf("before: verdict = %+v, want Delivered", v)
	}
	for _, bad := range []string{"169.254.169.254", "0.0.0.0", "fe80::1", "::ffff:169.254.169.254"} {
		c.Close()
		point(bad)
		v := target.Deliver(t.Context(), notification())
		if v.Outcome != destination.ResolutionError || v.Err == nil {
			t.Fatalf("%s: verdict = %+v, want ResolutionError", bad, v)
		}
		if text := v.Err.Error(); strings.Contains(text, bad) || strings.Contains(text, "s3cret") ||
			!strings.Contains(text, unusableName) {
			t.Errorf("%s: error text %q must say that it is not permitted and name no address or secret", bad, text)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// Whether a name does not exist or leads inside is not to be told apart, by a
// delivery or by a handshake: anybody may register any name.
func TestUnknownNamesLookLikeInnerOnes(t *testing.T) {
	texts := map[string]bool{}
	for _, addresses := range [][]netip.Addr{nil, {netip.MustParseAddr("10.1.2.3")}, {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fd00::1")}, {netip.MustParseAddr("169.254.169.254")}} {
		c := NewClient(Options{Resolver: resolver(t, func() []netip.Addr { return addresses })})
		t.Cleanup(c.Close)
		v := c.Target("https://hook.test/").Deliver(t.Context(), notification())
		if v.Outcome != destination.ResolutionError {
			t.Errorf("%v: verdict = %+v, want ResolutionError", addresses, v)
		}
		texts[v.Err.Error()] = true
		for _, shake := range []func(context.Context, Handshake) (Result, error){c.HandshakeEventGrid, c.HandshakeCloudEvents} {
			_, err := shake(t.Context(), Handshake{URL: "https://hook.test/", CallbackURL: "https://x.example/validate"})
			if err == nil {
				t.Fatalf("%v: the handshake succeeded", addresses)
			}
			texts[err.Error()] = true
		}
	}
	if len(texts) > 3 { // one of each way
		t.Errorf("the answers differ: %q", slices.Collect(maps.Keys(texts)))
	}
}

func TestPrivateAddressesAreRefusedByDefault(t *testing.T) {
	var asked atomic.Bool
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	c := NewClient(Options{Resolver: resolver(t, func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })})
	t.Cleanup(c.Close)
	for _, u := range []string{url, "https://127.0.0.1:" + port, "https://hook.test:" + port} {
		if v := c.Target(u).Deliver(t.Context(), notification()); v.Outcome != destination.ResolutionError {
			t.Errorf("%s: verdict = %+v, want ResolutionError", u, v)
		}
	}
	if asked.Load() {
		t.Error("a private address was contacted")
	}
}
