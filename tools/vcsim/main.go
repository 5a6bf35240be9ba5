// vcsim serves govmomi's vCenter simulator over TLS on loopback: a second vSphere, written by other people, for
// our client to be tried against. govmomi's own vcsim command cannot be had through the module proxy (it lives in
// a nested module with a replace directive), its simulator package can.
//
// When it answers it prints one JSON line, {"url", "tls_sha256", "certificate"}, and it runs until SIGTERM, SIGINT,
// or until its standard input ends, so that it never outlives a test that died.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator" // tags, by REST
)

// ready is what is printed: where it is, and by what it is known.
type ready struct {
	URL         string `json:"url"`
	TLSSHA256   string `json:"tls_sha256"`
	Certificate string `json:"certificate"`
}

func main() {
	listen := flag.String("l", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	machines := flag.Int("vm", 2, "how many VMs there are")
	esx := flag.Bool("esx", false, "a standalone ESXi instead of a vCenter")
	flag.Parse()
	if err := serve(*listen, *machines, *esx); err != nil {
		fmt.Fprintln(os.Stderr, "vcsim:", err)
		os.Exit(1)
	}
}

func serve(listen string, machines int, esx bool) error {
	if err := onLoopback(listen); err != nil {
		return err
	}
	model := simulator.VPX()
	if esx {
		model = simulator.ESX()
	} else {
		model.Host, model.Cluster, model.ClusterHost = 0, 1, 1 // VMs are counted per host and cluster: have one
	}
	model.Machine = machines
	if err := model.Create(); err != nil {
		return err
	}
	defer model.Remove() // the datastores are temporary folders
	model.Service.TLS = new(tls.Config)
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{Host: listen, User: login()}
	server := model.Service.NewServer()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	told := *server.URL
	told.User = nil // no secret on stdout
	certificate := server.Certificate()
	sum := sha256.Sum256(certificate.Raw)
	err := json.NewEncoder(os.Stdout).Encode(ready{
		URL:         told.String(),
		TLSSHA256:   hex.EncodeToString(sum[:]),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})),
	})
	if err != nil {
		return err
	}
	<-stop

	closed := make(chan struct{})
	go func() { server.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Second): // Close waits for requests, and WaitForUpdatesEx may take minutes
	}
	return nil
}

// login is the only one accepted; without it vcsim lets in any name with any password.
func login() *url.Userinfo {
	if user := os.Getenv("VCSIM_USERNAME"); user != "" {
		return url.UserPassword(user, os.Getenv("VCSIM_PASSWORD"))
	}
	return nil
}

func onLoopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("-l %s: only a loopback address, since it accepts anybody", listen)
	}
	return nil
}
