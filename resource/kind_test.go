package resource

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deletions is a transaction that only remembers what was deleted.
type deletions struct {
	roles   []*Resource
	deleted []string
}

func (*deletions) Get(ID) (*Resource, bool) { return nil, false }
func (d *deletions) List(typ string, _ ID) []*Resource {
	if typ == TypeRoleAssignment {
		return d.roles
	}
	return nil
}
func (*deletions) Put(*Resource)  {}
func (d *deletions) Delete(id ID) { d.deleted = append(d.deleted, id.String()) }

func TestRemove(t *testing.T) {
	refusal := errors.New("in use")
	role := thingID.Provider(TypeRoleAssignment, "r")
	for name, c := range map[string]struct {
		hook    func(*Deletion, *Resource, *thing) error
		done    bool
		err     error
		deleted []string
	}{
		"without a rule":     {nil, true, nil, []string{role.String(), thingID.String()}},
		"what goes along":    {func(d *Deletion, r *Resource, _ *thing) error { d.Tx.Delete(r.ID.Child("parts", "p")); return nil }, true, nil, []string{thingID.Child("parts", "p").String(), role.String(), thingID.String()}},
		"refused":            {func(*Deletion, *Resource, *thing) error { return refusal }, false, refusal, nil},
		"only a part so far": {func(d *Deletion, r *Resource, _ *thing) error { d.More = true; return nil }, false, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kind := Define(Spec{Type: "Test.Provider/things"}, Hooks[thing]{Delete: c.hook})
			tx := &deletions{roles: []*Resource{{ID: role}}}
			done, err := kind.Remove(&Deletion{Tx: tx}, &Resource{ID: thingID})
			if done != c.done || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v", done, err)
			}
			if diff := cmp.Diff(c.deleted, tx.deleted); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDueAndExpire(t *testing.T) {
	at := created.Add(time.Hour)
	plain := Define(Spec{}, Hooks[thing]{})
	timed := Define(Spec{}, Hooks[thing]{
		Due:    func(*Resource, *thing) time.Time { return at },
		Expire: func(*Deletion, *Resource, *thing) (bool, error) { return true, nil },
	})
	r, unreadable := &Resource{}, &Resource{Properties: json.RawMessage(`[]`)}
	if !plain.Due(r).IsZero() || !timed.Due(r).Equal(at) || !timed.Due(unreadable).IsZero() {
		t.Error("due at the wrong time")
	}
	if stays, err := plain.Expire(&Deletion{}, r); stays || err != nil {
		t.Errorf("without a rule it has to go: %v, %v", stays, err)
	}
	if stays, err := timed.Expire(&Deletion{}, r); !stays || err != nil {
		t.Errorf("got %v, %v", stays, err)
	}
	if _, err := timed.Expire(&Deletion{}, unreadable); err == nil {
		t.Error("an unreadable resource was changed")
	}
}

func TestDeletionOrder(t *testing.T) {
	kinds := func(specs ...Spec) (all []*Kind) {
		for _, s := range specs {
			all = append(all, &Kind{Spec: s})
		}
		return all
	}
	got := DeletionOrder(kinds(
		Spec{Type: "P/users", After: []string{"P/things", "P/things/parts"}}, Spec{Type: "P/things"}, Spec{Type: "P/things/parts/screws"},
		Spec{Type: "P/things/parts", After: []string{"P/others"}}, Spec{Type: "P/others"}, Spec{Type: "P/thingsToo"},
	))
	want := []string{"P/things/parts/screws", "P/others", "P/things/parts", "P/things", "P/users", "P/thingsToo"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	defer func() {
		if recover() == nil {
			t.Error("a circle is no order")
		}
	}()
	DeletionOrder(kinds(Spec{Type: "P/a", After: []string{"P/b"}}, Spec{Type: "P/b", After: []string{"P/a"}}))
}

func TestRequire(t *testing.T) {
	w := &Write{}
	wantCode(t, AuthorizationFailed, w.Require("P/things/write", thingID))
	asked := ""
	w.Authorize = func(action string, scope ID) error { asked = action + " " + scope.Name(); return nil }
	if err := w.Require("P/things/write", thingID); err != nil || asked != "P/things/write t" {
		t.Errorf("asked %q, %v", asked, err)
	}
}

// around embeds another struct, as domains embed topics: its members stand among
// those around it.
type around struct {
	thing
	More string `json:"more,omitempty" arm:"patch"`
}

func TestEmbeddedProperties(t *testing.T) {
	kind := Define(Spec{}, Hooks[around]{})
	write := func(old *Resource, patch bool, body string) (*Resource, error) {
		return kind.Write(&Write{ID: thingID, Old: old, Patch: patch, Body: Body{Properties: []byte(body)}, Now: created})
	}
	old, err := write(nil, false, `{"state":"Forged","fixed":"F","patched":"P","put":"U","more":"M"}`)
	if err != nil || string(old.Properties) != `{"state":"","fixed":"F","patched":"P","put":"U","value":{},"more":"M"}` {
		t.Fatalf("got %s, %v", old.Properties, err)
	}
	next, err := write(old, true, `{"patched":"Q","put":"V"}`)
	if err != nil || string(next.Properties) != `{"state":"","fixed":"F","patched":"Q","put":"U","value":{},"more":"M"}` {
		t.Errorf("after a PATCH: %s, %v", next.Properties, err)
	}
	for body, text := range map[string]string{
		`{"fixed":"G"}`:            "Property 'properties.fixed' cannot be changed",
		`{"patched":5}`:            "Property 'properties.patched' is a JSON number; a string is expected.",
		`{"value":{"patched":[]}}`: "Property 'properties.value.patched' is a JSON array; a string is expected.",
		`{"more":{}}`:              "Property 'properties.more' is a JSON object; a string is expected.",
	} {
		if _, err := write(old, true, body); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestMembersBesideTheProperties(t *testing.T) {
	kind := Define(Spec{Extra: []string{"sku"}}, Hooks[thing]{})
	write := func(old *Resource, extra map[string]json.RawMessage) *Resource {
		t.Helper()
		r, err := kind.Write(&Write{ID: thingID, Old: old, Body: Body{Extra: extra}, Now: created})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := write(nil, map[string]json.RawMessage{"plan": []byte(`1`), "sku": []byte(`null`)}); r.Extra != nil {
		t.Errorf("got %v", r.Extra)
	}
	old := write(nil, map[string]json.RawMessage{"sku": []byte(`1`)})
	next := write(old, map[string]json.RawMessage{"sku": []byte(`2`)})
	if string(old.Extra["sku"]) != "1" || string(next.Extra["sku"]) != "2" || string(write(next, nil).Extra["sku"]) != "2" {
		t.Errorf("got %s, then %s", old.Extra, next.Extra)
	}
}
