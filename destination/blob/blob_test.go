package blob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/destination"
)

func TestName(t *testing.T) {
	id := uuid.MustParse("0C2C8A52-6A1E-4D0E-9A1C-2B1F0E7F9D11")
	at := time.Date(2026, 3, 1, 0, 59, 0, 0, time.FixedZone("", -8*3600))
	got := Name("Hook-1", at, id)
	if want := "HOOK-1/2026/3/1/8/0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11.json"; got != want {
		t.Errorf("Name = %q, want %q", got, want)
	}
	got = Name("h", time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), id)
	if want := "H/2026/12/31/23/0c2c8a52-6a1e-4d0e-9a1c-2b1f0e7f9d11.json"; got != want {
		t.Errorf("Name = %q, want %q", got, want)
	}
}

var full = Record{
	Reason: "MaxDeliveryAttemptsExceeded", Attempts: 3, Outcome: destination.Busy, Status: 503,
	Published:   time.Date(2026, 3, 1, 9, 0, 1, 123456789, time.FixedZone("", 3600)),
	LastAttempt: time.Date(2026, 3, 1, 8, 1, 43, 0, time.UTC),
}

const fullMembers = `"deadletterreason":"MaxDeliveryAttemptsExceeded","deliveryattempts":3,` +
	`"lastdeliveryoutcome":"Busy","lasthttpstatuscode":503,` +
	`"publishtime":"2026-03-01T08:00:01.1234567Z","lastdeliveryattempttime":"2026-03-01T08:01:43.0000000Z"}`

func TestAppendRecord(t *testing.T) {
	bare := full
	bare.Status, bare.LastAttempt, bare.Outcome, bare.Attempts = 0, time.Time{}, destination.Probation, 0
	const bareMembers = `"deadletterreason":"MaxDeliveryAttemptsExceeded","deliveryattempts":0,` +
		`"lastdeliveryoutcome":"Probation","publishtime":"2026-03-01T08:00:01.1234567Z"}`
	for _, tt := range []struct {
		name, event string
		record      Record
		want        string
	}{
		{"plain", `{"id":"1","data":{"n":1}}`, full, `{"id":"1","data":{"n":1},` + fullMembers},
		{"never tried", `{"id":"1"}`, bare, `{"id":"1",` + bareMembers},
		{"no members", `{ }`, full, `{` + fullMembers},
		{
			"data keeps its bytes", `{"data": { "a\u00e9\/" : 1.0e+3 , "publishtime":"x" } , "id" : "}" }`, full,
			`{"data": { "a\u00e9\/" : 1.0e+3 , "publishtime":"x" },"id" : "}",` + fullMembers,
		},
		{
			"names taken", `{"publishtime":"never","id":"1","deadletterreason":["x"],"data":1,"deliveryattempts":99}`, full,
			`{"id":"1","data":1,` + fullMembers,
		},
		{"name taken, escaped", `{"\u0070ublishtime":"never","id":"1"}`, full, `{"id":"1",` + fullMembers},
		{"all taken", `{"publishtime":"never"}`, full, `{` + fullMembers},
		{
			"taken without a value of ours", `{"lasthttpstatuscode":200,"lastdeliveryattempttime":"now","id":"1"}`, bare,
			`{"id":"1",` + bareMembers,
		},
		{"white space around", " \n{\"id\":\"1\"}\t", full, `{"id":"1",` + fullMembers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendRecord([]byte("before:"), []byte(tt.event), tt.record)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before:"+tt.want, string(got)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendRecordRefusesWhatIsNoObject(t *testing.T) {
	for _, s := range []string{"", "null", "[]", `"x"`, "{", `{"a":1}{"b":2}`, `{"a":}`, `{"a":1,}`, "{}x"} {
		got, err := AppendRecord([]byte("x"), []byte(s), full)
		if err == nil || string(got) != "x" {
			t.Errorf("AppendRecord(%q) = %q, %v; want an error and no change", s, got, err)
		}
	}
}

// Whatever the event holds, the record is the event's foreign members followed
// by ours.
func TestAppendRecordKeepsTheRest(t *testing.T) {
	names := rapid.SampledFrom([]string{
		"id", "data", "publishtime", "deadletterreason", "lasthttpstatuscode", "x", "é", `q"`, "", "Publishtime",
	})
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.MapOf(names, rapid.String()).Draw(t, "members")
		event, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := AppendRecord(nil, event, full)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(rec, &got); err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		if err := json.Unmarshal([]byte("{"+fullMembers), &want); err != nil {
			t.Fatal(err)
		}
		kept := map[string]any{}
		if err := json.Unmarshal(event, &kept); err != nil {
			t.Fatal(err)
		}
		for name, v := range kept {
			if _, ours := want[name]; !ours {
				want[name] = v
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", rec, diff)
		}
	})
}

func FuzzAppendRecord(f *testing.F) {
	f.Add([]byte(`{"id":"1","publishtime":1}`))
	f.Add([]byte(`{"a":{"b":[1,"}"]} , "c":null}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, event []byte) {
		rec, err := AppendRecord(nil, event, full)
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(event, &object) == nil && object != nil
		if (err == nil) != isObject {
			t.Fatalf("error %v, but the input is an object: %v", err, isObject)
		}
		if err != nil {
			return
		}
		members, err := split(rec)
		if err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		seen := 0
		for _, m := range members {
			if reserved(m.name) {
				seen++
			}
		}
		if seen != 6 {
			t.Errorf("%d members of ours in %s, want 6", seen, rec)
		}
	})
}

func TestArray(t *testing.T) {
	for want, in := range map[string][][]byte{
		"[]":            nil,
		`[{"a":1}]`:     {[]byte(`{"a":1}`)},
		`[{"a":1},{ }]`: {[]byte(`{"a":1}`), []byte("{ }")},
	} {
		if got := string(Array(in...)); got != want {
			t.Errorf("Array = %s, want %s", got, want)
		}
	}
}

func TestDirectoryPut(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data", "blobs")
	d := NewDirectory(root)
	const name = "HOOK1/2026/3/1/8/x.json"
	file := filepath.Join(root, "dead", filepath.FromSlash(name))
	for _, body := range []string{"first", "second, longer", ""} {
		if err := d.Put(t.Context(), "dead", name, []byte(body)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != body {
			t.Errorf("content = %q, %v; want %q", got, err, body)
		}
	}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others can read it", path, info.Mode())
		}
		if !e.IsDir() && path != file {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryRefusesNamesThatEscape(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "blobs")
	d := NewDirectory(root)
	for _, tt := range [][2]string{
		{"..", "x"},
		{".", "x"},
		{"", "x"},
		{"/etc", "x"},
		{"a/b", "x"},
		{"a", ""},
		{"a", "."},
		{"a", "../x"},
		{"a", "../../x"},
		{"a", "b/../../../x"},
		{"a", "/x"},
		{"a", "b//x"},
		{"a", "b/"},
		{"a", `..\x`},
		{"a", "c:x"},
		{"a", "x\x00y"},
		{"a", ".hidden"},
		{"a", strings.Repeat("x", 1025)},
		{staging, "x"},
	} {
		if err := d.Put(t.Context(), tt[0], tt[1], []byte("x")); !errors.Is(err, ErrName) {
			t.Errorf("Put(%.40q, %.40q) = %v, want ErrName", tt[0], tt[1], err)
		}
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 0 {
		t.Errorf("files appeared: %v, %v", entries, err)
	}
}

func TestDirectoryLeavesItsRootThroughNoLink(t *testing.T) {
	base := t.TempDir()
	root, outside := filepath.Join(base, "blobs"), filepath.Join(base, "outside")
	for _, dir := range []string{root, outside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "dead")); err != nil {
		t.Fatal(err)
	}
	if err := NewDirectory(root).Put(t.Context(), "dead", "x.json", []byte("x")); err == nil {
		t.Error("a blob was written through a link")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("files outside: %v", entries)
	}
	if left, _ := os.ReadDir(filepath.Join(root, staging)); len(left) != 0 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestDirectoryPutConcurrently(t *testing.T) {
	root := t.TempDir()
	d := NewDirectory(root)
	bodies := [][]byte{bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte("b"), 20_000)}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for _, name := range []string{"S/same.json", fmt.Sprintf("S/%d.json", i)} {
				if err := d.Put(t.Context(), "dead", name, bodies[i%2]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(filepath.Join(root, "dead", "S", "same.json"))
	if err != nil || !bytes.Equal(got, bodies[0]) && !bytes.Equal(got, bodies[1]) {
		t.Errorf("%d bytes, %v: not the content of any one write", len(got), err)
	}
	if files, _ := os.ReadDir(filepath.Join(root, "dead", "S")); len(files) != 21 {
		t.Errorf("%d files, want 21", len(files))
	}
}

func TestDirectoryFailsWithTheFileSystem(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewDirectory(root).Put(t.Context(), "a", "b", nil); err == nil || errors.Is(err, ErrName) {
		t.Errorf("Put below a file = %v, want an error of the file system", err)
	}
}
