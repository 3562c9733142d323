package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
)

func TestSecretsAreInNoFile(t *testing.T) {
	const marker = "marker-of-a-secret"
	dir := t.TempDir()
	e := openWith(t, local.Options{Dir: dir})
	s := openStore(t, e)
	a, b := topic("rg", "a", "in the clear"), topic("rg", "b", "in the clear")
	a.Secret("key1", marker)
	b.Secret(marker, "x") // not even its name
	put(t, s, a, b)
	a = a.Clone()
	a.Secret("key2", marker)
	put(t, s, a)
	c := topic("rg", "c", marker) // all of it
	c.Confidential, c.Tags = true, map[string]string{"tag": marker}
	c.Identity, c.Extra = json.RawMessage(`{"type":"`+marker+`"}`), map[string]json.RawMessage{"sku": json.RawMessage(`"` + marker + `"`)}
	c.Secret("key1", marker)
	put(t, s, c)
	s.Close()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	forms := [][]byte{[]byte(marker), []byte(base64.StdEncoding.EncodeToString([]byte(marker))[:20])}
	readable, files := 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		readable += bytes.Count(data, []byte("in the clear"))
		for _, f := range forms {
			if bytes.Contains(data, f) {
				t.Errorf("%s holds the secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if readable < 3 { // or the search would find nothing whatever is written
		t.Errorf("the records are not in the %d files searched", files)
	}
	s = openStore(t, openWith(t, local.Options{Dir: dir}))
	if r, _ := s.Get(a.ID); r.Secrets["key2"] != marker {
		t.Error("the secret is lost")
	}
	got, _ := s.Get(c.ID)
	c.Revision = got.Revision
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("what was sealed is another (-want +got):\n%s", diff)
	}
}

// What a former program wrote is read, and one that does not know of sealed bodies
// refuses them rather than see a resource without properties.
func TestRecordsOfTwoVersions(t *testing.T) {
	o := options(t, nil)
	r := topic("rg", "a", "1")
	plain, err := encode(r, o.Sealer)
	if err != nil {
		t.Fatal(err)
	}
	r.Confidential = true
	sealed, err := encode(r, o.Sealer)
	if err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string][]byte{`"v":1,`: plain, `"v":2,`: sealed} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("want %s in %s", want, data)
		}
		if got, err := decode(data, o.Sealer); err != nil || valueOf(got) != "1" || got.Confidential != bytes.Contains(data, []byte(`"body"`)) {
			t.Errorf("%s: %v, %v", data, got, err)
		}
	}
	other := topic("rg", "b", "2")
	moved := bytes.Replace(sealed, []byte(r.UID.String()), []byte(other.UID.String()), 1)
	if _, err := decode(moved, o.Sealer); err == nil {
		t.Error("a body is read as another resource's")
	}
}

func TestWrongMasterKeyGivesOneClearError(t *testing.T) {
	e := openEngine(t, memory(t))
	s := openStore(t, e)
	r := topic("rg", "a", "")
	r.Secret("key1", "x")
	put(t, s, r)
	s.Close()
	o := options(t, e)
	var err error
	if o.Sealer, err = NewSealer(testKey(2)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "master key is not the one") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestSealedSecretsCannotBeMovedToAnotherResource(t *testing.T) {
	e := openEngine(t, memory(t))
	s := openStore(t, e)
	victim := topic("rg", "victim", "")
	victim.Secret("key1", "x")
	data, err := encode(victim, s.opts.Sealer)
	if err != nil {
		t.Fatal(err)
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		t.Fatal(err)
	}
	rec.UID, rec.ID = resource.NewUID(), topicID("rg", "thief").String()
	if data, err = json.Marshal(rec); err != nil {
		t.Fatal(err)
	}
	putRaw(t, e, s, engine.Write{Key: topicID("rg", "thief").Key(), Value: data})
	if _, err := Open(t.Context(), options(t, e)); err == nil || !strings.Contains(err.Error(), "cannot be opened") {
		t.Errorf("got %v", err)
	}
}

func TestSealIsFreshEachTime(t *testing.T) {
	s, err := NewSealer(testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.seal("n", []byte("x")), s.seal("n", []byte("x"))
	if bytes.Equal(a, b) {
		t.Error("equal secrets can be told by their sealed form")
	}
	a[len(a)-1] ^= 1
	if _, err := s.open("n", a); err == nil {
		t.Error("a changed text was opened")
	}
	if _, err := s.open("n", a[:3]); err == nil {
		t.Error("a torn text was opened")
	}
	if _, err := NewSealer([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}

func TestMasterKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	if _, err := LoadMasterKey(path, false); err == nil {
		t.Error("a missing key file was made without being asked")
	}
	made, err := LoadMasterKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadMasterKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, again); diff != "" {
		t.Error("another key the second time")
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, text := range []string{"", "not base64!", base64.StdEncoding.EncodeToString([]byte("short"))} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadMasterKey(path, true); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v", text, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != text {
			t.Errorf("an unreadable key file was overwritten: %q, %v", left, err)
		}
	}
}
