"""What the comparison has ansible and pyinfra do: configuration, playbooks, deploy files."""

ANSIBLE_CFG = """\
[defaults]
inventory = hosts.ini
forks = {at_once}
remote_user = {user}
private_key_file = {key}
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
ssh_args = -F /dev/null -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={known}
"""

ANSIBLE = {
    "scan": """\
- hosts: all
  become: true
  tasks:
    - ansible.builtin.package_facts: {manager: apt}
    - ansible.builtin.command: {argv: [apt-get, -s, dist-upgrade]}
      changed_when: false
""",
    "patch": """\
- hosts: all
  become: true
  tasks:
    - ansible.builtin.package_facts: {manager: apt}
    - ansible.builtin.apt: {update_cache: true, upgrade: dist}
      register: upgrade
      failed_when: upgrade is changed
""",
}

PYINFRA_FACTS = """\
from pyinfra import host
from pyinfra.facts import server
from pyinfra.facts.deb import DebPackages

FACTS = (server.Hostname, server.Kernel, server.KernelVersion, server.Arch, server.Mounts)
MORE = (server.LinuxDistribution, server.RebootRequired, server.Date, DebPackages)
COMMANDS = (
    "apt-mark showhold",
    "cat /etc/machine-id /proc/sys/kernel/random/boot_id /proc/uptime",
    "df -Pk; df -Pi",
    "who",
    "ls /boot",
)
for fact in (*FACTS, *MORE):
    host.get_fact(fact, _sudo=True)
for command in COMMANDS:
    host.get_fact(server.Command, command=command, _sudo=True)
assert host.get_fact(DebPackages, _sudo=True)
"""

PYINFRA_UPGRADE = """\
from pyinfra.operations import apt

apt.update(_sudo=True)
apt.dist_upgrade(_sudo=True)
"""

PYINFRA = {
    "scan": PYINFRA_FACTS
    + 'host.get_fact(server.Command, command="apt-get -s dist-upgrade", _sudo=True)\n',
    "patch": PYINFRA_FACTS + PYINFRA_UPGRADE,
    "bare": """\
from pyinfra import host
from pyinfra.facts.deb import DebPackages

assert host.get_fact(DebPackages, _sudo=True)
"""
    + PYINFRA_UPGRADE,
}
"""`bare` asks nothing before it upgrades; Ansible gathers its facts unasked."""
