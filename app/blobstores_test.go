package app

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

func accountOf(subscription, group, name string) resource.ID {
	return resource.GroupID(subscription, group).Provider("Microsoft.Storage/storageAccounts", name)
}

// Accounts of one name are different accounts, and earlier versions gave them one
// folder.
func TestFoldersOfAccounts(t *testing.T) {
	const first, second = "11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002"
	root := filepath.Join(t.TempDir(), "blobs")
	write := func(b *blobStores, id resource.ID, name string) {
		t.Helper()
		if err := b.of(id.String()).Put(t.Context(), "letters", name, []byte("[]")); err != nil {
			t.Fatal(err)
		}
	}
	old := func(name, file string) {
		t.Helper()
		folder := filepath.Join(root, name, "letters")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, file), []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &blobStores{root: root, bindings: []binding{{prefix: "/subscriptions/" + second + "/resourcegroups/bound"}}}
	logger := slog.New(slog.DiscardHandler)
	b.adopt(nil, logger) // nothing is there yet
	old("acme", "1.json")
	old("shared", "2.json")
	old("gone", "3.json")
	old("later", "4.json")
	b.adopt([]resource.ID{
		accountOf(first, "RG", "Acme"), accountOf(first, "rg", "shared"), accountOf(second, "rg", "shared"),
		accountOf(first, "rg", "later"), accountOf(second, "bound", "later"), // the bound one never wrote here
	}, logger)
	// What somebody names afterwards is a new account.
	b.adopt([]resource.ID{accountOf(second, "rg", "gone"), accountOf(second, "rg", "acme")}, logger)
	write(b, accountOf(first, "rg", "acme"), "5.json")
	write(b, accountOf(second, "rg", "acme"), "6.json")
	write(b, accountOf(first, "rg-2", "acme"), "7.json")
	write(b, accountOf(second, "rg", "gone"), "8.json")

	var got []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			name, _ := filepath.Rel(root, path)
			got = append(got, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"acme@rg@" + first + "/letters/1.json", "acme@rg@" + first + "/letters/5.json", "acme@rg@" + second + "/letters/6.json", "acme@rg-2@" + first + "/letters/7.json",
		"gone@old/letters/3.json", "gone@rg@" + second + "/letters/8.json", "later@rg@" + first + "/letters/4.json", "shared@old/letters/2.json",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
