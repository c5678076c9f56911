//! Known answers, and what must not open.

use super::*;

/// Sixteen bytes that stand for random ones.
const SALT: [u8; 16] = [
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115,
];

fn crypt() -> Crypt {
    Crypt::new(MasterKey::from_bytes(&std::array::from_fn(|n| n as u8)))
}

fn other() -> Crypt {
    Crypt::new(MasterKey::from_bytes(&[7; 32]))
}

fn file_header(class: Class) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&[FORMAT, class.code()]);
    header[16..].copy_from_slice(&SALT);
    header
}

fn pack_header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(b"DBSNPACK");
    header[8..11].copy_from_slice(&[1, 1, 1]);
    header[16..].copy_from_slice(&SALT);
    header
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

#[test]
fn what_another_program_sealed_after_the_document_is_the_same() {
    // From a reader and writer in another language, over another implementation of the cipher.
    let head = crypt().seal_under(&file_header(Class::Head), Class::Head, "name", b"{}");
    assert_eq!(hex(&head[HEADER..]), "87e70bf50612b18b9653e487ac68cc526f23");
    let segment = crypt().seal_under(
        &file_header(Class::Segment),
        Class::Segment,
        "",
        &text(10_000),
    );
    assert_eq!(segment.len(), 10_080);
    assert_eq!(
        blake3::hash(&segment).to_hex().as_str(),
        "5480cac5e0fb315e6a4c7640e10eccd23e3de92aa70773dbd9e38547708cd54e"
    );
    let pack = crypt().pack(&pack_header());
    assert_eq!(
        hex(&pack.seal_frame(32, b"frame")),
        "509b7a6f14ceef7568a1c378549b13f94311c9f383"
    );
    assert_eq!(
        hex(&pack.seal_directory(b"directory")),
        "679e9250aedd0e27e6f0ca5ed7e80ca2ed1cdf49fd43ec3849"
    );
    let id = std::array::from_fn(|n| 200 + n as u8);
    assert_eq!(
        hex(&crypt().veil(&id)),
        "ce72dd61b60a5c5e43577970ad6e7ed88006d572d71a2ee0e74625ff9c5977c7"
    );
}

#[test]
fn files_of_every_length_open_again_and_never_look_alike() {
    for len in [0, 1, BOX - 1, BOX, BOX + 1, 3 * BOX, 3 * BOX + 5] {
        let text = text(len);
        let seal = || crypt().seal_file(Class::Head, "n", &text).unwrap();
        let sealed = seal();
        assert_eq!(sealed.len() as u64, sealed_len(len as u64));
        assert_eq!(
            crypt().open_file(Class::Head, "n", &sealed),
            Ok(text.clone())
        );
        assert_ne!(sealed, seal());
    }
}

#[test]
fn a_file_opens_only_whole_unchanged_under_its_name_as_its_class_and_with_its_key() {
    let text = text(BOX + 100);
    let sealed = crypt().seal_file(Class::Head, "n", &text).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(
            crypt().open_file(Class::Head, "n", &changed).is_err(),
            "byte {at}"
        );
    }
    for len in 0..sealed.len() {
        assert!(
            crypt().open_file(Class::Head, "n", &sealed[..len]).is_err(),
            "length {len}"
        );
    }
    let longer = [sealed.as_slice(), b"x"].concat();
    let broken = Err(SealError::Broken);
    assert_eq!(crypt().open_file(Class::Head, "n", &longer), broken);
    assert_eq!(crypt().open_file(Class::Head, "m", &sealed), broken);
    assert_eq!(crypt().open_file(Class::Intent, "n", &sealed), broken);
    assert_eq!(other().open_file(Class::Head, "n", &sealed), broken);
    // Not even when the header is made to say the other class.
    let mut disguised = sealed;
    disguised[9] = Class::Intent.code();
    assert_eq!(crypt().open_file(Class::Intent, "n", &disguised), broken);
}

#[test]
fn boxes_cannot_be_swapped_dropped_or_taken_for_the_last() {
    let sealed = crypt()
        .seal_file(Class::Segment, "", &text(3 * BOX))
        .unwrap();
    let (header, boxes) = sealed.split_at(HEADER);
    let boxes: Vec<&[u8]> = boxes.chunks(SEALED_BOX).collect();
    let arranged = |order: &[usize]| {
        let mut file = header.to_vec();
        for &n in order {
            file.extend(boxes[n]);
        }
        crypt().open_file(Class::Segment, "", &file)
    };
    assert!(arranged(&[0, 1, 2]).is_ok());
    for wrong in [
        &[1, 0, 2][..],
        &[0, 1],
        &[0, 2],
        &[0, 0, 2],
        &[2],
        &[0, 1, 2, 2],
    ] {
        assert_eq!(arranged(wrong), Err(SealError::Broken), "{wrong:?}");
    }
}

#[test]
fn a_part_of_a_file_is_read_from_its_own_boxes() {
    let text = text(5 * BOX + 17);
    let len = text.len() as u64;
    let sealed = crypt().seal_file(Class::Segment, "", &text).unwrap();
    let header = sealed.first_chunk().unwrap();
    let seal = crypt().file(Class::Segment, "", header).unwrap();
    for part in [0..1, 4090..4100, 8192..12_288, 20_000..20_497, 3..20_496] {
        let (first, place) = boxes_of(part.clone(), len);
        let boxes = &sealed[place.start as usize..place.end as usize];
        let mut opened = Vec::new();
        seal.open_boxes(first, len, boxes, &mut opened).unwrap();
        let skip = (part.start - first * BOX as u64) as usize;
        let wanted = &text[part.start as usize..part.end as usize];
        assert_eq!(&opened[skip..skip + wanted.len()], wanted);
        assert_eq!(
            seal.open_boxes(first + 1, len, boxes, &mut Vec::new()),
            Err(SealError::Broken)
        );
    }
}

#[test]
fn a_frame_opens_only_unchanged_at_its_place_in_its_pack() {
    let pack = crypt().pack(&pack_header());
    let sealed = pack.seal_frame(32, b"a frame");
    assert_eq!(pack.open_frame(32, &sealed).unwrap(), b"a frame");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x80;
        assert_eq!(
            pack.open_frame(32, &changed),
            Err(SealError::Broken),
            "byte {at}"
        );
        assert_eq!(
            pack.open_frame(32, &sealed[..at]),
            Err(SealError::Broken),
            "length {at}"
        );
    }
    let second = pack.seal_frame(55, b"a frame");
    assert_eq!(pack.open_frame(32, &second), Err(SealError::Broken));
    assert_eq!(pack.open_frame(55, &sealed), Err(SealError::Broken));
    assert_eq!(pack.open_directory(&sealed), Err(SealError::Broken));
    assert_eq!(
        other().pack(&pack_header()).open_frame(32, &sealed),
        Err(SealError::Broken)
    );
}

#[test]
fn a_frame_is_bound_to_every_byte_of_its_packs_header() {
    let sealed = crypt().pack(&pack_header()).seal_frame(32, b"a frame");
    for at in 0..HEADER {
        let mut header = pack_header();
        header[at] ^= 1;
        assert_eq!(
            crypt().pack(&header).open_frame(32, &sealed),
            Err(SealError::Broken),
            "byte {at}"
        );
    }
}

#[test]
fn what_is_not_sealed_is_told_from_what_is_broken() {
    let open = |bytes: &[u8]| crypt().open_file(Class::Head, "n", bytes).unwrap_err();
    assert_eq!(open(b"{}"), SealError::NotSealed);
    assert_eq!(open(&[b'{'; 100]), SealError::NotSealed);
    let mut newer = crypt().seal_file(Class::Head, "n", b"{}").unwrap();
    newer[8] = 2;
    assert_eq!(open(&newer), SealError::UnknownFormat(2));
}

#[test]
fn keys_are_random_and_not_printed() {
    let key = MasterKey::generate().unwrap();
    assert_ne!(key, MasterKey::generate().unwrap());
    let known = MasterKey::from_bytes(&[0xab; 32]);
    let crypt = Crypt::new(known);
    let printed = format!("{crypt:?} {:?}", crypt.pack(&pack_header()));
    assert_eq!(printed, "Crypt(MasterKey(***)) Seal(***)");
}
