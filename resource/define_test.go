package resource

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// thing has a member of every mode, plain and nested.
type thing struct {
	State   string       `json:"state" arm:"computed"`
	Fixed   string       `json:"fixed,omitempty" arm:"create"`
	At      *Time        `json:"at,omitempty" arm:"create"`
	Patched string       `json:"patched,omitempty" arm:"patch"`
	Limit   *int         `json:"limit,omitempty" arm:"patch"`
	Put     string       `json:"put,omitempty"`
	Whole   *plainInner  `json:"whole,omitempty"`
	Tagged  *taggedInner `json:"tagged,omitempty"`
	Value   taggedInner  `json:"value"`
	List    List[string] `json:"list,omitempty" arm:"patch"`
}

type plainInner struct {
	A string `json:"a,omitempty"`
	B string `json:"b,omitempty"`
}

type taggedInner struct {
	Fixed    string `json:"fixed,omitempty" arm:"create"`
	Patched  string `json:"patched,omitempty" arm:"patch"`
	Computed string `json:"computed,omitempty" arm:"computed"`
}

var thingKind = Define(Spec{Type: "Test.Provider/things", Tracked: true, Location: "global"}, Hooks[thing]{
	Prepare: func(_ *Write, _ *Resource, next, _ *thing) error {
		next.State = "Done"
		return nil
	},
})

var (
	thingID = GroupID("s", "g").Provider("Test.Provider/things", "t")
	created = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
)

// put runs one write and returns the properties it made.
func put(t *testing.T, old *Resource, patch bool, properties string) (*Resource, error) {
	t.Helper()
	return thingKind.Write(&Write{ID: thingID, Old: old, Patch: patch, Body: Body{Properties: []byte(properties)}, Caller: "me", Now: created})
}

func mustPut(t *testing.T, old *Resource, patch bool, properties string) *Resource {
	t.Helper()
	r, err := put(t, old, patch, properties)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const full = `{"state":"Forged","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"P","limit":3,"put":"U","whole":{"a":"1","b":"2"},
	"tagged":{"fixed":"TF","patched":"TP","computed":"Forged"},"value":{"fixed":"VF","patched":"VP","computed":"Forged"},"list":["x","y"]}`

func TestWhoMaySetWhatWhen(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		patch bool
		want  string
	}{
		"created": {body: "", want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"P","limit":3,"put":"U","whole":{"a":"1","b":"2"},
			"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF","patched":"VP"},"list":["x","y"]}`},
		"put of nothing keeps only what is fixed": {body: `{}`, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z",
			"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF"}}`},
		"put replaces": {body: `{"put":"V","whole":{"a":"9"},"tagged":{"patched":"TQ"}}`, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z",
			"put":"V","whole":{"a":"9"},"tagged":{"fixed":"TF","patched":"TQ"},"value":{"fixed":"VF"}}`},
		"put keeps the casing of creation": {body: `{"fixed":"f"}`, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z",
			"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF"}}`},
		"put of the same time in another spelling": {body: `{"at":"2026-05-01T02:00:00.00000001+02:00"}`, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z",
			"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF"}}`},
		"patch of nothing changes nothing": {body: `{}`, patch: true, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"P","limit":3,"put":"U",
			"whole":{"a":"1","b":"2"},"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF","patched":"VP"},"list":["x","y"]}`},
		"patch changes only what it can": {
			body: `{"state":"Forged","patched":"Q","put":"V","whole":{"a":"9"},"tagged":{"patched":"TQ","computed":"Forged"},"value":{"patched":"VQ"},"list":["z"]}`, patch: true,
			want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"Q","limit":3,"put":"U",
			"whole":{"a":"1","b":"2"},"tagged":{"fixed":"TF","patched":"TQ"},"value":{"fixed":"VF","patched":"VQ"},"list":["z"]}`,
		},
		"patch with null removes": {body: `{"limit":null,"list":null}`, patch: true, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"P","put":"U",
			"whole":{"a":"1","b":"2"},"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF","patched":"VP"}}`},
		"patch cannot remove a struct that has fixed members": {body: `{"tagged":null}`, patch: true, want: `{"state":"Done","fixed":"F","at":"2026-05-01T00:00:00Z","patched":"P","limit":3,"put":"U",
			"whole":{"a":"1","b":"2"},"tagged":{"fixed":"TF","patched":"TP"},"value":{"fixed":"VF","patched":"VP"},"list":["x","y"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustPut(t, nil, false, full)
			if c.body != "" {
				before := string(r.Properties)
				old := r
				r = mustPut(t, old, c.patch, c.body)
				if string(old.Properties) != before {
					t.Error("the stored version changed")
				}
				if r.UID != old.UID {
					t.Error("an update made another incarnation")
				}
			}
			var got, want any
			if err := errors.Join(json.Unmarshal(r.Properties, &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFixedMembersCannotChange(t *testing.T) {
	old := mustPut(t, nil, false, full)
	for body, path := range map[string]string{
		`{"fixed":"G"}`:                 "properties.fixed",
		`{"at":"2026-05-02T00:00:00Z"}`: "properties.at",
		`{"tagged":{"fixed":"G"}}`:      "properties.tagged.fixed",
		`{"value":{"fixed":"G"}}`:       "properties.value.fixed",
	} {
		for _, patch := range []bool{false, true} {
			_, err := put(t, old, patch, body)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != InvalidRequest || !strings.Contains(e.Message, "'"+path+"'") {
				t.Errorf("%s (patch %v): got %v", body, patch, err)
			}
		}
	}
}

func TestBodiesThatDoNotFitSayWhere(t *testing.T) {
	for body, want := range map[string]string{
		`{"fixed":5}`:             "InvalidRequestContent: Property 'properties.fixed' is a JSON number; a string is expected.",
		`{"limit":"x"}`:           "InvalidRequestContent: Property 'properties.limit' is a JSON string; a number in range is expected.",
		`{"limit":1e400}`:         "InvalidRequestContent: Property 'properties.limit' is a JSON number 1e400; a number in range is expected.",
		`{"list":{}}`:             "InvalidRequestContent: Property 'properties.list' is a JSON object; an array is expected.",
		`{"tagged":[]}`:           "InvalidRequestContent: Property 'properties.tagged' is a JSON array; an object is expected.",
		`{"tagged":{"fixed":{}}}`: "InvalidRequestContent: Property 'properties.tagged.fixed' is a JSON object; a string is expected.",
		`{"at":"never"}`:          "InvalidRequestContent: 'never' is not a time; write it like 2026-03-01T08:00:00Z.",
		`{"fixed":`:               "InvalidRequestContent: Property 'properties' is not valid JSON: unexpected end of JSON input.",
	} {
		_, err := put(t, nil, false, body)
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", body, err, want)
		}
	}
}

func TestEnvelopeRules(t *testing.T) {
	write := func(k *Kind, old *Resource, patch bool, b Body) (*Resource, error) {
		return k.Write(&Write{ID: thingID, Old: old, Patch: patch, Body: b, Caller: "me", Now: created})
	}
	regional := Define(Spec{Type: "Test.Provider/things", Tracked: true, Identity: true}, Hooks[thing]{})
	const nobody = `{"type":"None","principalId":null,"tenantId":null,"userAssignedIdentities":null}`
	proxy := Define(Spec{Type: "Test.Provider/things"}, Hooks[thing]{})

	if r, err := write(thingKind, nil, false, Body{}); err != nil || r.Location != "global" {
		t.Errorf("default location: %v, %v", r, err)
	}
	wantCode(t, LocationRequired, second(write(regional, nil, false, Body{})))
	old, err := write(regional, nil, false, Body{Location: "West Europe", HasTags: true, Tags: map[string]string{"a": "1"}, Identity: []byte(`{"type":"None"}`)})
	if err != nil || old.Location != "westeurope" {
		t.Fatalf("got %v, %v", old, err)
	}
	for _, patch := range []bool{true, false} {
		wantCode(t, InvalidResourceLocation, second(write(regional, old, patch, Body{Location: "northeurope"})))
	}
	r, err := write(regional, old, true, Body{Location: "WESTEUROPE"})
	if err != nil || r.Tags["a"] != "1" || string(r.Identity) != nobody {
		t.Errorf("patch without tags: %v, %v", r, err)
	}
	if r, err = write(regional, old, true, Body{HasTags: true, Tags: map[string]string{"b": "2"}}); err != nil || cmp.Diff(map[string]string{"b": "2"}, r.Tags) != "" {
		t.Errorf("patch with tags: %v, %v", r, err)
	}
	if r, err = write(regional, old, false, Body{}); err != nil || r.Tags != nil {
		t.Errorf("put without tags: %v, %v", r, err)
	}
	if r, err = write(proxy, nil, false, Body{Location: "westeurope", HasTags: true, Tags: map[string]string{"a": "1"}}); err != nil || r.Location != "" || r.Tags != nil {
		t.Errorf("proxy: %v, %v", r, err)
	}
}

func TestWriteNotesWhoAndWhen(t *testing.T) {
	r := mustPut(t, nil, false, `{}`)
	later := created.Add(time.Hour)
	next, err := thingKind.Write(&Write{ID: thingID, Old: r, Patch: true, Caller: "you", Now: later})
	if err != nil {
		t.Fatal(err)
	}
	type stamp struct {
		By, ModBy string
		At, ModAt time.Time
	}
	want := []stamp{{"me", "me", created, created}, {"me", "you", created, later}}
	got := []stamp{{r.CreatedBy, r.ModifiedBy, r.CreatedAt, r.ModifiedAt}, {next.CreatedBy, next.ModifiedBy, next.CreatedAt, next.ModifiedAt}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHooksSeeTypedProperties(t *testing.T) {
	var consulted, deleted string
	k := Define(Spec{Type: "Test.Provider/things"}, Hooks[thing]{
		Consult: func(_ context.Context, _ *Resource, next, old *thing) (any, error) {
			consulted = next.Patched
			if old != nil {
				consulted = old.Patched + ">" + consulted
			}
			return "proof", nil
		},
		Delete:  func(_ *Deletion, _ *Resource, p *thing) error { deleted = p.Patched; return nil },
		Present: func(_ *Resource, p *thing, v View) { p.Patched = v.BaseURL },
	})
	a, b := mustPut(t, nil, false, `{"patched":"1"}`), mustPut(t, nil, false, `{"patched":"2"}`)
	if proof, err := k.Consult(t.Context(), a, nil); err != nil || proof != "proof" || consulted != "1" {
		t.Errorf("consult: %v, %v, %q", proof, err, consulted)
	}
	if _, err := k.Consult(t.Context(), b, a); err != nil || consulted != "1>2" {
		t.Errorf("consult: %v, %q", err, consulted)
	}
	if err := k.Delete(&Deletion{}, b); err != nil || deleted != "2" {
		t.Errorf("delete: %v, %q", err, deleted)
	}
	shown, err := k.Present(a, View{BaseURL: "https://x"})
	if err != nil || shown.(*thing).Patched != "https://x" {
		t.Errorf("present: %v, %v", shown, err)
	}
	if p, err := Properties[thing](a); err != nil || p.Patched != "1" {
		t.Errorf("presenting changed what is stored: %v, %v", p, err)
	}
	broken := &Resource{ID: thingID, Properties: json.RawMessage(`{"fixed":5}`)}
	_, consultErr := k.Consult(t.Context(), broken, nil)
	_, presentErr := k.Present(broken, View{})
	for _, err := range []error{consultErr, presentErr, k.Delete(&Deletion{}, broken)} {
		if _, ok := errors.AsType[*Error](err); ok || err == nil || !strings.Contains(err.Error(), thingID.String()) {
			t.Errorf("a broken record is the caller's fault: %v", err)
		}
	}
}

func second(_ *Resource, err error) error { return err }

func wantCode(t *testing.T, want Code, err error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
