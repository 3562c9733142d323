package resource

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTimesAreWrittenAsAzureDoes(t *testing.T) {
	for in, want := range map[string]string{
		`"2026-03-01T08:00:00Z"`:              `"2026-03-01T08:00:00Z"`,
		`"2026-03-01T08:00:00.1234567Z"`:      `"2026-03-01T08:00:00.1234567Z"`,
		`"2026-03-01T08:00:00.123456789Z"`:    `"2026-03-01T08:00:00.1234567Z"`,
		`"2026-03-01T08:00:00.5+02:00"`:       `"2026-03-01T06:00:00.5Z"`,
		`"2026-03-01T08:00:00"`:               `"2026-03-01T08:00:00Z"`,
		`"2026-03-01T08:00:00.25"`:            `"2026-03-01T08:00:00.25Z"`,
		`"9999-12-31T23:59:59Z"`:              `"9999-12-31T23:59:59Z"`,
		`"2026-03-01T08:00:00.0000000-11:30"`: `"2026-03-01T19:30:00Z"`,
	} {
		var v Time
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := json.Marshal(v)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestTimesThatAreNone(t *testing.T) {
	for _, in := range []string{
		`""`, `"tomorrow"`, `5`, `{}`, `"2026-13-01T00:00:00Z"`, `"2026-03-01"`,
		// In UTC these lie in years that could be written but never read again.
		`"9999-12-31T23:59:59-01:00"`, `"0000-01-01T00:00:00+01:00"`,
	} {
		var v Time
		err := json.Unmarshal([]byte(in), &v)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidRequestContent {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func TestEveryTimeReadCanBeReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62167219200-86400, 253402300799+86400).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		zone := time.FixedZone("", rapid.IntRange(-23*60, 23*60).Draw(t, "zone")*60)
		text, err := json.Marshal(at.In(zone).Format(time.RFC3339Nano))
		if err != nil {
			t.Fatal(err)
		}
		var first, second Time
		if json.Unmarshal(text, &first) != nil {
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &second); err != nil || !second.Same(first) {
			t.Fatalf("%s → %s → %v, %v", text, written, second.Std(), err)
		}
	})
}

func TestParseEnumKeepsTheCanonicalSpelling(t *testing.T) {
	type colour string
	v := colour("Blue")
	if err := ParseEnum([]byte("null"), &v, "Red", "Blue"); err != nil || v != "Blue" {
		t.Errorf("null: %v, %v", v, err)
	}
	if err := ParseEnum([]byte(`"rED"`), &v, "Red", "Blue"); err != nil || v != "Red" {
		t.Errorf("rED: %v, %v", v, err)
	}
	for in, code := range map[string]Code{`"green"`: InvalidRequest, `""`: InvalidRequest, `5`: InvalidRequestContent, `["Red"]`: InvalidRequestContent} {
		err := ParseEnum([]byte(in), &v, "Red", "Blue")
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != code {
			t.Errorf("%s: got %v", in, err)
		}
		if code == InvalidRequest && !strings.Contains(e.Message, "Red, Blue") {
			t.Errorf("%s: the message does not name the values: %s", in, e.Message)
		}
	}
	if v != "Red" {
		t.Errorf("a refused value changed it to %v", v)
	}
}

func TestListsAreReplacedAsAWhole(t *testing.T) {
	type item struct{ A, B string }
	var v struct{ L List[item] }
	if err := json.Unmarshal([]byte(`{"L":[{"A":"1","B":"2"},{"A":"3"}]}`), &v); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"L":[{"A":"9"}]}`), &v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(List[item]{{A: "9"}}, v.L); diff != "" {
		t.Errorf("the old element shines through:\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"L":null}`), &v); err != nil || v.L != nil {
		t.Errorf("null: %v, %v", v.L, err)
	}
	if err := json.Unmarshal([]byte(`{"L":{}}`), &v); err == nil {
		t.Error("an object was taken for a list")
	}
}

func TestNormalLocation(t *testing.T) {
	for in, want := range map[string]string{"West Europe": "westeurope", "westeurope": "westeurope", "": "", "UK South 2": "uksouth2"} {
		if got := NormalLocation(in); got != want {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestUIDText(t *testing.T) {
	u := NewUID()
	data, err := json.Marshal(map[string]UID{"u": u})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]UID
	if err := json.Unmarshal(data, &back); err != nil || back["u"] != u || u.IsZero() {
		t.Errorf("got %v, %v", back, err)
	}
	if v, err := ParseUID(strings.ToUpper(u.String())); err != nil || v != u {
		t.Errorf("upper case: %v, %v", v, err)
	}
	if _, err := ParseUID("nonsense"); err == nil {
		t.Error("nonsense parsed")
	}
	if err := json.Unmarshal([]byte(`{"u":"x"}`), &back); err == nil {
		t.Error("x parsed")
	}
	if !(UID{}).IsZero() {
		t.Error("the zero UID is not zero")
	}
}

func TestCloneIsIndependent(t *testing.T) {
	r := &Resource{ID: SubscriptionID("s"), Tags: map[string]string{"a": "1"}, Properties: json.RawMessage(`{"x":1}`), Identity: json.RawMessage(`{}`)}
	r.Secret("key", "value")
	c := r.Clone()
	c.Tags["a"] = "2"
	c.Properties[2], c.Identity[0] = 'y', ' '
	c.Secret("key", "")
	c.Secret("other", "new")
	want := &Resource{
		ID: SubscriptionID("s"), Tags: map[string]string{"a": "1"}, Properties: json.RawMessage(`{"x":1}`), Identity: json.RawMessage(`{}`),
		Secrets: map[string]string{"key": "value"},
	}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(ID{})); diff != "" {
		t.Errorf("the original changed:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"other": "new"}, c.Secrets); diff != "" {
		t.Error(diff)
	}
}
