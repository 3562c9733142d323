package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

const auth0 = "804a11ca-ce9b-4158-8e94-3c8dc7a072ec"

const galleryText = `
# All partners of this house.
- name: Northwave
  partnerRegistrationImmutableId: 804A11CA-ce9b-4158-8e94-3c8dc7a072ec
  organizationName: Northwave Commerce AB
  partnerDisplayName: &display Northwave
  partnerTopicDetails:
    description: Orders
    longDescription: Orders and refunds
    setupUri: https://console.northwave.example/azure
  logoUri: https://northwave.example/logo.svg
- name: Tribal Group
  partnerRegistrationImmutableId: "11111111-1111-4111-8111-111111111111"
  partnerDisplayName: *display
  partnerDestinationDetails: {}
  verified: false
`

func TestGalleryFile(t *testing.T) {
	got, err := parseGallery([]byte(galleryText))
	if err != nil {
		t.Fatal(err)
	}
	want := []galleryEntry{
		{"Northwave", eventgrid.VerifiedPartner{
			ImmutableID: auth0, OrganizationName: "Northwave Commerce AB", PartnerDisplayName: "Northwave",
			TopicDetails: &eventgrid.PartnerDetails{Description: "Orders", LongDescription: "Orders and refunds", SetupURI: "https://console.northwave.example/azure"},
			LogoURI:      "https://northwave.example/logo.svg", Verified: new(true), ProvisioningState: "Succeeded",
		}},
		{"Tribal Group", eventgrid.VerifiedPartner{
			ImmutableID: "11111111-1111-4111-8111-111111111111", PartnerDisplayName: "Northwave",
			DestinationDetails: &eventgrid.PartnerDetails{}, Verified: new(false), ProvisioningState: "Succeeded",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, none := range []string{"", "# nothing\n", "~\n", "[]\n"} {
		if got, err := parseGallery([]byte(none)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", none, got, err)
		}
	}
}

func TestGalleryFileSaysWhatIsWrong(t *testing.T) {
	const id = "  partnerRegistrationImmutableId: " + auth0 + "\n"
	for text, want := range map[string]string{
		"name: x\n":                                            `line 1: the file is not a list of entries`,
		"- x\n":                                                `line 1: entry 1: is not a mapping of members`,
		"- name: a\n" + id + "  nam: b\n":                      `line 3: entry "a": nam is not a member of an entry`,
		"- name: a\n  name: b\n":                               `line 2: entry "a": name is there twice`,
		"- verified: true\n" + id:                              `line 1: entry 1: name is missing`,
		"- name: a/b\n" + id:                                   `line 1: entry "a/b": InvalidRequest: The name 'a/b'`,
		"- name: a\n":                                          `line 1: entry "a": InvalidRequest: partnerRegistrationImmutableId '' is not a GUID`,
		"- name: a\n" + id + "- name: A\n" + id:                `line 3: entry "A": name: line 1 has an entry of this name already`,
		"- name: a\n  organizationName: 365\n":                 `line 2: entry "a": organizationName is not a text; put it in quotes`,
		"- name: a\n  verified: perhaps\n":                     `line 2: entry "a": verified is not true or false`,
		"- name: a\n  logoUri:\n":                              `line 2: entry "a": logoUri is not a text`,
		"- name: a\n  partnerTopicDetails: x\n":                `line 2: entry "a": partnerTopicDetails is not a mapping`,
		"- name: a\n  partnerTopicDetails:\n    setupUrl: x\n": `line 3: entry "a": partnerTopicDetails.setupUrl is not a member`,
		"- name: a\n" + id + "  partnerTopicDetails:\n    setupUri: x\n": `line 1: entry "a": InvalidRequest: partnerTopicDetails.setupUri 'x' is not a web address`,
		"- name: a\n  provisioningState: Failed\n":                       `provisioningState is not a member`,
		"- a: b: c\n":   `mapping values are not allowed`,
		"[]\n---\n[]\n": `the file holds more than one document`,
	} {
		_, err := parseGallery([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "gallery.yaml")
	if err := os.WriteFile(path, []byte("- x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path: "--gallery " + path + ": line 1: ", "/no/such.yaml": "--gallery: open /no/such.yaml"} {
		o := DefaultOptions()
		o.Data, o.Listen, o.Gallery = t.TempDir(), "127.0.0.1:0", file
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		stop(t, a)
	}
}

func FuzzParseGallery(f *testing.F) {
	f.Add([]byte(galleryText))
	f.Add([]byte("- &x {name: *x}\n- <<: {name: a}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parseGallery(text)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("more than one line: %q", err)
		}
		for _, e := range entries {
			if _, err := eventgrid.VerifiedPartnerID(e.Name); err != nil || e.Check() != nil {
				t.Fatalf("taken: %+v", e)
			}
		}
	})
}

// What the file says is there, what left it is gone, what others made stays.
func TestGalleryFollowsItsFile(t *testing.T) {
	st := openStores(t, 1)[0]
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	entry := func(name, organization string) galleryEntry {
		e := galleryEntry{name, eventgrid.VerifiedPartner{ImmutableID: auth0, OrganizationName: organization}}
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		return e
	}
	apply := func(want [2]int, entries ...galleryEntry) {
		t.Helper()
		now = now.Add(time.Hour)
		written, removed, err := applyGallery(t.Context(), st, entries, "operator", now)
		if err != nil || [2]int{written, removed} != want {
			t.Errorf("written %d, removed %d, %v; want %v", written, removed, err, want)
		}
	}
	show := func() map[string]string {
		t.Helper()
		all := make(map[string]string)
		for _, r := range st.List(eventgrid.TypeVerifiedPartner, resource.ID{}) {
			p, err := resource.Properties[eventgrid.VerifiedPartner](r)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(r.Properties, []byte(secretFromFile)) {
				t.Errorf("the mark is seen: %s", r.Properties)
			}
			all[r.ID.Name()] = p.OrganizationName
		}
		return all
	}
	want := func(want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, show()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	byAPI(t, st, entry("ByAPI", "first"), now)
	apply([2]int{2, 0}, entry("One", "1"), entry("Two", "2"))
	apply([2]int{0, 0}, entry("One", "1"), entry("Two", "2"))
	uid := uidOf(t, st, "One")
	want(map[string]string{"ByAPI": "first", "One": "1", "Two": "2"})
	apply([2]int{1, 1}, entry("ONE", "changed"))
	want(map[string]string{"ByAPI": "first", "One": "changed"})
	if uidOf(t, st, "One") != uid {
		t.Error("a change made another resource")
	}
	// A change through the API lasts until the next start, and does not make it
	// anybody's else.
	byAPI(t, st, entry("One", "by hand"), now)
	apply([2]int{2, 0}, entry("One", "changed"), entry("ByAPI", "first")) // the latter becomes the file's
	apply([2]int{0, 2})
	want(map[string]string{})
	var many []galleryEntry
	for i := range 2*galleryChunk + 1 {
		many = append(many, entry(fmt.Sprintf("Partner %d", i), "x"))
	}
	apply([2]int{len(many), 0}, many...)
	apply([2]int{0, len(many)})
}

// byAPI writes an entry as PUT does: what is there keeps its secrets.
func byAPI(t *testing.T, st *store.Store, e galleryEntry, now time.Time) {
	t.Helper()
	id, err := eventgrid.VerifiedPartnerID(e.Name)
	if err != nil {
		t.Fatal(err)
	}
	err = st.Commit(t.Context(), func(tx resource.Tx) error {
		r := &resource.Resource{ID: id, UID: resource.NewUID(), Type: eventgrid.TypeVerifiedPartner, CreatedAt: now}
		if old, ok := tx.Get(id); ok {
			r = old.Clone()
		}
		if err := resource.Encode(r, &e.VerifiedPartner); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func uidOf(t *testing.T, st *store.Store, name string) resource.UID {
	t.Helper()
	id, err := eventgrid.VerifiedPartnerID(name)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := st.Get(id)
	if !ok {
		t.Fatalf("no entry %s", name)
	}
	return r.UID
}

func TestClientsSeeTheGalleryOfTheFile(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "gallery.yaml")
	if err := os.WriteFile(file, []byte(galleryText), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ gallery, names string }{{file, "Northwave Tribal Group"}, {"", ""}} {
		a := start(t, dir, func(o *Options) { o.Gallery = want.gallery })
		creds, _ := a.Admin()
		c, err := armclient.New(creds)
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ Value []struct{ Name string } }
		if err := c.Get(t.Context(), "/providers/"+eventgrid.TypeVerifiedPartner, "2022-06-15", &list); err != nil {
			t.Error(err)
		}
		var names []string
		for _, v := range list.Value {
			names = append(names, v.Name)
		}
		if got := strings.Join(names, " "); got != want.names {
			t.Errorf("got %q, want %q", got, want.names)
		}
		c.Close()
		stop(t, a)
	}
}
