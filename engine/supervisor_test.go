package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A stream that is being created looks for a moment like one that could not be
// read; a write that failed is certain.
func TestAFaultIsBelievedWhenItIsCertain(t *testing.T) {
	unread := errors.New("JetStream stream '$G > A' could not be recovered")
	other := errors.New("JetStream stream '$G > B' could not be recovered")
	failed := errors.New("JetStream stream '$G > A' write error: no space left on device")
	for _, c := range []struct {
		name    string
		answers []error
		want    error // of the last
	}{
		{"none", []error{nil}, nil},
		{"once", []error{unread}, nil},
		{"twice", []error{unread, unread}, unread},
		{"gone meanwhile", []error{unread, nil, unread}, nil},
		{"another", []error{unread, other}, nil},
		{"a failed write", []error{failed}, failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			v := supervised(t, &fakeDisk{}, &log)
			var got error
			for _, a := range c.answers {
				got = v.believe(a)
			}
			if !errors.Is(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestMovedFilesComeBack(t *testing.T) {
	for name, leftBehind := range map[string]bool{"alone": false, "beside what the old server made": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(parts ...string) {
				t.Helper()
				file := filepath.Join(append([]string{dir}, parts...)...)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(name), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			write("jetstream", "data")
			for n := range 2 {
				from := dir
				if n > 0 {
					from = movedFolder(dir, n)
				}
				if err := fence(from, movedFolder(dir, n+1)); err != nil {
					t.Fatal(err)
				}
			}
			want := []string{"jetstream/data"}
			if leftBehind {
				write("jetstream", "ghost")
				want = append(want, "moved-2/left-behind/ghost")
			}
			for range 2 {
				if err := unfence(dir); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			if err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
				if err == nil && !info.IsDir() {
					rel, relErr := filepath.Rel(dir, path)
					got, err = append(got, filepath.ToSlash(rel)), relErr
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
