package e2e

import "testing"

// TestJavaScriptSDK calls every operation of Microsoft's management SDK for
// JavaScript. The script finds out which there are by itself, so that none is
// forgotten.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	modules(t)
	s := serve(t)
	hook := receive(t).URL + "/hook"
	d := shop(t, s)
	publishVerifiedPartner(t, s)
	maker := newMember(t, s, "maker", "Contributor", d.subscription, "")
	maker.authorize(t, maker.openNamespace(t)) // which registers the provider, too
	putChannelWithURL(t, maker, maker, "returns", hook+"?code=s3cr3t")
	var became struct {
		Failed, Untried []string
		Tried           int
	}
	runScript(t, s, "operations.js", map[string]any{
		"authority": s.url, "tenant": s.tenant(t), "client": d.principal.AppID, "secret": d.principal.Secret,
		"subscription": d.subscription, "group": d.group, "hook": hook, "channel": []string{maker.group, namespace, "returns"},
	}, &became)
	for _, f := range became.Failed {
		t.Error(f)
	}
	for _, name := range became.Untried {
		t.Errorf("%s is not tried", name)
	}
	if became.Tried < 100 {
		t.Errorf("only %d operations were tried", became.Tried)
	}
	t.Logf("%d operations", became.Tried)
}
