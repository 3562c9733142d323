package arm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is done to foreign resources, tags and locks is told like everything else.
func TestManagementEventsOfTheSmallARM(t *testing.T) {
	f := newFixture(t).listen()
	const acc = "C/rg-c/providers/Microsoft.Storage/storageAccounts/acc1"
	step := func(a *answer, want ...string) {
		t.Helper()
		if a.status >= 300 && a.status != 409 {
			t.Errorf("%s: %d %s", a.what, a.status, a.raw)
		}
		got := f.told.take()
		slices.Sort(got)
		want = append([]string{}, want...)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a.what, diff)
		}
	}
	lock := acc + "/providers/Microsoft.Authorization/locks/l1"
	step(f.put("owner", strings.Replace(account, "resourceGroups/rg-c", "resourcegroups/RG-C", 1), accountBody), "C WriteSuccess "+acc+" Microsoft.Storage/storageAccounts/write")
	step(f.post("owner", account+"/listKeys", ""), "C ActionSuccess "+acc+" Microsoft.Storage/storageAccounts/listKeys/action")
	step(f.post("owner", account+"/regenerateKey", `{"keyName":"key1"}`), "C ActionSuccess "+acc+" Microsoft.Storage/storageAccounts/regenerateKey/action")
	step(f.put("owner", blobs, `{}`), "C WriteSuccess "+acc+"/blobServices/default Microsoft.Storage/storageAccounts/blobServices/write")
	step(f.put("owner", tagsAt(account), `{"properties":{"tags":{"a":"b"}}}`), "C WriteSuccess "+acc+"/providers/Microsoft.Resources/tags/default Microsoft.Resources/tags/write")
	step(f.put("owner", lockAt(account, "l1"), lockBody("CanNotDelete")), "C WriteSuccess "+lock+" Microsoft.Authorization/locks/write")
	step(f.delete("owner", account).wantError(409, "ScopeLocked"), "C DeleteFailure "+acc+" Microsoft.Storage/storageAccounts/delete")
	step(f.delete("owner", lockAt(account, "l1")), "C DeleteSuccess "+lock+" Microsoft.Authorization/locks/delete")
	step(f.delete("owner", account), "C DeleteSuccess "+acc+" Microsoft.Storage/storageAccounts/delete", "C DeleteSuccess "+acc+"/blobServices/default Microsoft.Storage/storageAccounts/blobServices/delete")
	step(f.put("owner", customerID+"/tagNames/x", ""), "C WriteSuccess C/providers/Microsoft.Resources/tagNames/x Microsoft.Resources/subscriptions/tagNames/write")
}
