package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/intertie/intertie/destination/blob"
	"github.com/intertie/intertie/resource"
)

// blobStores finds the store for a storage account: by the longest binding of
// its id, otherwise a folder of its own below root.
type blobStores struct {
	root     string
	bindings []binding
}

func (b *blobStores) of(accountID string) blob.Store {
	if bound, ok := b.bound(accountID); ok {
		return bound.store
	}
	return blob.NewDirectory(filepath.Join(b.root, accountFolder(accountID)))
}

func (b *blobStores) bound(accountID string) (binding, bool) {
	key := strings.ToLower(strings.TrimRight(accountID, "/"))
	best := -1
	for i, bound := range b.bindings {
		covers := key == bound.prefix || strings.HasPrefix(key, bound.prefix+"/")
		if covers && (best < 0 || len(bound.prefix) > len(b.bindings[best].prefix)) {
			best = i
		}
	}
	if best < 0 {
		return binding{}, false
	}
	return b.bindings[best], true
}

// The parts of a folder's name that stand for themselves. None of them holds the
// '@' that stands between them, and none can lead out of the folder.
var (
	plainAccount      = regexp.MustCompile(`^[a-z0-9][-a-z0-9]{0,62}$`)
	plainGroup        = regexp.MustCompile(`^[-\w.()]{1,90}$`)
	plainSubscription = regexp.MustCompile(`^[-0-9a-z]{1,36}$`)
)

// accountFolder names the folder of an account after its whole id,
// ACCOUNT@GROUP@SUBSCRIPTION in lower case: accounts of one name in different
// groups are different accounts. What cannot stand in a name is named by its hash.
func accountFolder(accountID string) string {
	id, err := resource.ParseID(accountID)
	if err != nil {
		return "unnamed@" + hashed(strings.ToLower(accountID))
	}
	parent, name := id.Parent(), strings.ToLower(id.Name())
	group, subscription := strings.ToLower(id.Group), strings.ToLower(id.Subscription)
	if !parent.Equal(id.GroupScope()) || !plainAccount.MatchString(name) || !plainSubscription.MatchString(subscription) {
		return "unnamed@" + hashed(id.Key())
	}
	if !plainGroup.MatchString(group) {
		group = hashed(group)
	}
	return name + "@" + group + "@" + subscription
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "~" + hex.EncodeToString(sum[:16])
}

// adopt renames the folders that earlier versions named after the account alone.
// accounts are those that dead letters go to now. A folder becomes that of the one
// account with its name; where that is none or several it is set aside as NAME@old,
// so that nobody gets it who uses the name later.
func (b *blobStores) adopt(accounts []resource.ID, logger *slog.Logger) {
	entries, err := os.ReadDir(b.root)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			logger.Warn("the folder of dead letters cannot be read", "folder", b.root, "error", err)
		}
		return
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || !plainAccount.MatchString(name) {
			continue
		}
		var owners []string
		for _, id := range accounts {
			if _, bound := b.bound(id.String()); !bound && strings.EqualFold(id.Name(), name) {
				owners = append(owners, id.String())
			}
		}
		to := name + "@old"
		if len(owners) == 1 {
			to = accountFolder(owners[0])
		}
		from, target := filepath.Join(b.root, name), filepath.Join(b.root, to)
		if _, err := os.Lstat(target); err == nil {
			logger.Warn("an old folder of dead letters stays, as there is a new one", "folder", from, "new", target)
			continue
		}
		if err := os.Rename(from, target); err != nil {
			logger.Warn("an old folder of dead letters cannot be renamed", "folder", from, "to", target, "error", err)
			continue
		}
		logger.Info("an old folder of dead letters is named after the account's whole id", "folder", from, "to", target, "accounts", owners)
	}
}
