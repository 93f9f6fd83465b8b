//! A kernel of a few bytes, in the form QEMU boots directly (an ELF file with a PVH note).

/// Where it is loaded.
const ADDRESS: u32 = 0x10_0000;
/// The note that says where to begin, in 32-bit mode (`XEN_ELFNOTE_PHYS32_ENTRY`).
const ENTRY_NOTE: u32 = 18;

/// Prints `text` on the first serial port and stands still.
pub(crate) fn that_hangs(text: &str) -> Vec<u8> {
    // cli; hlt; jmp back
    elf(text, &[0xfa, 0xf4, 0xeb, 0xfd])
}

/// Prints `text` and faults without anybody to handle it, which resets the machine.
pub(crate) fn that_crashes(text: &str) -> Vec<u8> {
    // lidt [nothing]; int3
    let mut code = vec![0x0f, 0x01, 0x1d];
    code.extend((ADDRESS + NOTHING).to_le_bytes());
    code.push(0xcc);
    elf(text, &code)
}

/// Six zero bytes at the beginning of what is loaded: an empty table of interrupts.
const NOTHING: u32 = 0;
const CODE: u32 = 8;

fn elf(text: &str, then: &[u8]) -> Vec<u8> {
    let mut image = vec![0; CODE as usize];
    // mov dx, 0x3f8
    image.extend([0x66, 0xba, 0xf8, 0x03]);
    for byte in text.bytes() {
        // mov al, byte; out dx, al
        image.extend([0xb0, byte, 0xee]);
    }
    image.extend(then);

    let headers = 64 + 2 * 56;
    let note_at = headers;
    let mut note = Vec::new();
    for word in [4, 8, ENTRY_NOTE] {
        note.extend(u32::to_le_bytes(word));
    }
    note.extend(b"Xen\0");
    note.extend(u64::from(ADDRESS + CODE).to_le_bytes());
    let image_at = note_at + note.len();

    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(2_u16.to_le_bytes()); // An executable
    file.extend(62_u16.to_le_bytes()); // for x86_64.
    file.extend(1_u32.to_le_bytes());
    file.extend(u64::from(ADDRESS + CODE).to_le_bytes());
    file.extend(64_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut segment = |kind: u32, at: usize, address: u32, length: usize| {
        file.extend(kind.to_le_bytes());
        file.extend(7_u32.to_le_bytes());
        file.extend((at as u64).to_le_bytes());
        file.extend(u64::from(address).to_le_bytes());
        file.extend(u64::from(address).to_le_bytes());
        file.extend((length as u64).to_le_bytes());
        file.extend((length as u64).to_le_bytes());
        file.extend(4_u64.to_le_bytes());
    };
    segment(1, image_at, ADDRESS, image.len());
    segment(4, note_at, 0, note.len());
    file.extend(note);
    file.extend(image);
    file
}
