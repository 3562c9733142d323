package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/intertie/intertie/engine/folder"
)

func TestFirstStart(t *testing.T) {
	const own = "/etc/intertie/master.key"
	for name, tt := range map[string]struct {
		files       []string
		fresh       bool
		keyFile     string
		established bool
		refused     []string // what the error names
		warns       bool
		marked      bool // as a first start
	}{
		"nothing there":                  {fresh: true, marked: true},
		"files of others":                {files: []string{"blobs", "notes.txt", "server.pem"}, fresh: true, marked: true},
		"what a crash left of a file":    {files: []string{".master.key.tmp", ".ca-key.pem.tmp"}, fresh: true, marked: true},
		"another node":                   {marked: true},
		"another node, its key in place": {files: []string{"master.key"}, marked: true},
		"an operator's key in place":     {files: []string{"master.key"}, fresh: true, keyFile: own, marked: true},
		"a second start":                 {files: []string{"format", "master.key", "ca.pem", "ca-key.pem", "admin.env"}, established: true},
		"a second start, all lost but the state and the format": {files: []string{"format"}, established: true},
		"the format lost":             {files: []string{"master.key", "ca.pem"}, established: true, warns: true},
		"a first start cut off":       {files: []string{"first-start", "master.key", "ca-key.pem"}, fresh: true, marked: true},
		"a first start cut off later": {files: []string{"first-start", "master.key", "ca-key.pem", "ca.pem", "admin.env"}, marked: true},

		"the state lost":              {files: []string{"format", "master.key", "ca.pem", "ca-key.pem", "admin.env", "run.json"}, fresh: true, refused: []string{"format", "master.key", "ca.pem", "ca-key.pem", "admin.env", "run.json"}},
		"the state lost, own key":     {files: []string{"format", "ca.pem", "master.key"}, fresh: true, keyFile: own, refused: []string{"format", "ca.pem"}},
		"all lost but the format":     {files: []string{"format"}, fresh: true, refused: []string{"format"}},
		"all lost but the master key": {files: []string{"master.key"}, fresh: true, refused: []string{"master.key"}},
		"all lost but the authority":  {files: []string{"ca.pem"}, fresh: true, refused: []string{"ca.pem"}},
		"all lost but its key":        {files: []string{"ca-key.pem"}, fresh: true, refused: []string{"ca-key.pem"}},
		"all lost but the Owner":      {files: []string{"admin.env"}, fresh: true, refused: []string{"admin.env"}},
		"all lost but where it ran":   {files: []string{"run.json"}, fresh: true, refused: []string{"run.json"}},
		"cut off after the format":    {files: []string{"format", "first-start"}, fresh: true, refused: []string{"format"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte("2\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // whoever tries again is told the same
				f, err := folder.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				var log bytes.Buffer
				established, err := firstStart(f, tt.fresh, tt.keyFile, slog.New(slog.NewTextHandler(&log, nil)))
				if established != tt.established {
					t.Errorf("established: %v", established)
				}
				wantRefusal(t, err, dir, tt.refused)
				if warned := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "missing=format"); warned != tt.warns {
					t.Errorf("the log: %s", &log)
				}
				if f.Unfinished() != tt.marked {
					t.Errorf("marked as a first start: %v", f.Unfinished())
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// wantRefusal checks that err is one line that names the folder and exactly these
// files, or nil when there are none.
func wantRefusal(t *testing.T, err error, dir string, files []string) {
	t.Helper()
	if len(files) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data") {
		t.Fatalf("got %v", err)
	}
	_, list, _ := strings.Cut(err.Error(), " holds ")
	list, _, _ = strings.Cut(list, " of an installation")
	got := strings.Split(list, ", ")
	slices.Sort(got)
	slices.Sort(files)
	if !slices.Equal(got, files) {
		t.Errorf("named %v, want %v", got, files)
	}
}

// TestFirstStartCutOff stops a first start after each of its steps.
func TestFirstStartCutOff(t *testing.T) {
	steps := []string{"", masterKeyName, "ca-key.pem", "ca.pem", "state", adminName, "commit", runName}
	for n := range steps {
		dir := t.TempDir()
		fresh := true
		start := func(upTo int) error {
			f, err := folder.Open(dir)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := firstStart(f, fresh, "", slog.New(slog.DiscardHandler)); err != nil {
				return err
			}
			for _, s := range steps[1 : upTo+1] {
				switch s {
				case "state":
					fresh = false
				case "commit":
					err = f.Commit()
				default:
					err = os.WriteFile(filepath.Join(dir, s), nil, 0o600)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		if err := start(n); err != nil {
			t.Fatal(err)
		}
		if err := start(len(steps) - 1); err != nil {
			t.Errorf("cut off after %q, the next start says: %v", steps[n], err)
		}
		fresh = true
		if err := start(0); err == nil {
			t.Errorf("cut off after %q, then completed: a lost state is taken for a first start", steps[n])
		}
	}
}
