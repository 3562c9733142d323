package app

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/intertie/intertie/engine/folder"
	"github.com/intertie/intertie/pki"
)

// Small files of a data folder.
const (
	masterKeyName = "master.key"
	adminName     = "admin.env"
	runName       = "run.json"
)

// firstStart decides whether this start is the first one in a folder, and marks it
// as such. Call it when the engine has said whether its state is fresh, which
// means that nothing was ever committed, and before anything is made in the
// folder; and [folder.Folder.Commit] when all is made, before the server is ready.
//
// An empty state beside files of an installation is a state that was lost, or
// another one, and an error: a start would make a new tenant and Owner, whom no
// client knows, and publishers would go on as if all were well.
//
// established says that clients may know what was in the folder before. keyFile
// is the operator's own master key, if any, which may lie in a new folder.
func firstStart(f *folder.Folder, fresh bool, keyFile string, logger *slog.Logger) (established bool, err error) {
	if f.Unfinished() {
		return false, nil // it goes on
	}
	names := []string{folder.FormatFile, pki.CAFile, pki.CAKeyFile, adminName, runName}
	if keyFile == "" {
		names = append(names, masterKeyName)
	}
	there := f.Leftovers(names...)
	switch {
	case fresh && len(there) > 0:
		return false, fmt.Errorf("data folder %s holds %s of an installation, but its state is missing, here or in the NATS of --nats: restore the state, or name another folder with --data",
			f.Dir(), strings.Join(there, ", "))
	case !f.New():
		return true, nil
	case len(there) == 0, len(there) == 1 && there[0] == masterKeyName: // or another node of a cluster, with its key
		return false, f.Begin()
	default:
		logger.Warn("the format of the data folder was missing; it is written again", "missing", folder.FormatFile, "folder", f.Dir())
		return true, nil
	}
}
