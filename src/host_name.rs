//! What this host calls itself.

/// The host's own name as the kernel has it, full or not; empty where that cannot be told.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}
