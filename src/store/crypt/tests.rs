//! Known answers, and what must not open.

use super::*;

/// The length of a full box of a head.
const FULL: usize = 4096 + 16;

fn crypt() -> Crypt {
    Crypt::new(MasterKey::from_bytes(&std::array::from_fn(|n| n as u8)))
}

fn other() -> Crypt {
    Crypt::new(MasterKey::from_bytes(&[7; 32]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

#[test]
fn what_another_program_sealed_after_the_document_is_the_same() {
    // From a writer in another language, over other implementations of the cipher and of the hash.
    let salt = std::array::from_fn(|n| 100 + n as u8);
    let head = crypt().seal_salted(salt, Class::Head, "name", b"{}");
    assert_eq!(
        hex(&head),
        "4442534e5345414c01010000000000006465666768696a6b6c6d6e6f70717273\
         87e70bf50612b18b9653e487ac68cc526f23"
    );
    let hash = |class, len| {
        let file = crypt().seal_salted(salt, class, "", &text(len));
        (file.len(), hex(blake3::hash(&file).as_bytes()))
    };
    let segment = "5480cac5e0fb315e6a4c7640e10eccd23e3de92aa70773dbd9e38547708cd54e";
    assert_eq!(hash(Class::Segment, 10_000), (10_080, segment.into()));
    let pack = "ca3bb72cb2eebc094cb8ead555c0fd564516e309e38af73a3ea906592b251fff";
    assert_eq!(hash(Class::Pack, 40_000), (40_080, pack.into()));
    let id = std::array::from_fn(|n| 200 + n as u8);
    let name = "ce72dd61b60a5c5e43577970ad6e7ed88006d572d71a2ee0e74625ff9c5977c7";
    assert_eq!(hex(&crypt().veil(&id)), name);
}

#[test]
fn files_of_every_length_open_again_and_never_look_alike() {
    for len in [0, 1, 4095, 4096, 4097, 12_288, 12_293, 16_384, 16_385] {
        let text = text(len);
        for class in [Class::Head, Class::Pack] {
            let seal = || crypt().seal(class, "n", &text).unwrap();
            let file = seal();
            assert_eq!(crypt().open(class, "n", &file), Ok(text.clone()));
            assert_ne!(file, seal());
        }
    }
}

#[test]
fn a_file_opens_only_whole_unchanged_under_its_name_as_its_class_and_with_its_key() {
    let file = crypt().seal(Class::Head, "n", &text(4200)).unwrap();
    let open = |file: &[u8]| crypt().open(Class::Head, "n", file);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(open(&changed).is_err(), "byte {at}");
        assert!(open(&file[..at]).is_err(), "length {at}");
    }
    let longer = [file.as_slice(), b"x"].concat();
    let broken = Err(SealError::Broken);
    assert_eq!(open(&longer), broken);
    assert_eq!(crypt().open(Class::Head, "m", &file), broken);
    assert_eq!(crypt().open(Class::Intent, "n", &file), broken);
    assert_eq!(other().open(Class::Head, "n", &file), broken);
    // Not even when the header is made to say the other class.
    let mut disguised = file;
    disguised[9] = Class::Intent.code();
    assert_eq!(crypt().open(Class::Intent, "n", &disguised), broken);
}

#[test]
fn boxes_cannot_be_swapped_dropped_or_taken_for_the_last() {
    let sealed = |class| crypt().seal(class, "", &text(3 * 4096)).unwrap();
    let file = sealed(Class::Segment);
    let strange = sealed(Class::Segment);
    let (header, boxes) = file.split_at(HEADER);
    let mut boxes: Vec<&[u8]> = boxes.chunks(FULL).collect();
    boxes.push(&strange[HEADER..HEADER + FULL]);
    let arranged = |order: &[usize]| {
        let mut file = header.to_vec();
        for &n in order {
            file.extend(boxes[n]);
        }
        crypt().open(Class::Segment, "", &file)
    };
    assert!(arranged(&[0, 1, 2]).is_ok());
    let wrong: [&[usize]; 7] = [
        &[1, 0, 2],
        &[0, 1],
        &[0, 2],
        &[0, 0, 2],
        &[2],
        &[0, 1, 2, 2],
        &[3, 1, 2],
    ];
    for order in wrong {
        assert_eq!(arranged(order), Err(SealError::Broken), "{order:?}");
    }
}

#[test]
fn a_part_of_a_file_is_read_from_its_own_boxes() {
    let text = text(20_497);
    let file = crypt().seal(Class::Segment, "", &text).unwrap();
    let seal = crypt().seal_of(Class::Segment, "", file.first_chunk().unwrap());
    let seal = seal.unwrap();
    let boxes = Boxes::of_file(Class::Segment, file.len() as u64).unwrap();
    for part in [0..1, 4090..4100, 8192..12_288, 20_000..20_497, 3..20_496] {
        let (first, place) = boxes.covering(part.clone());
        let sealed = &file[place.start as usize..place.end as usize];
        let opened = seal.open(&boxes, first, sealed).unwrap();
        let skip = (part.start - boxes.start_of(first)) as usize;
        let wanted = &text[part.start as usize..part.end as usize];
        assert_eq!(&opened[skip..skip + wanted.len()], wanted);
        assert_eq!(seal.open(&boxes, first + 1, sealed), Err(SealError::Broken));
    }
}

#[test]
fn what_is_not_sealed_is_told_from_what_is_broken() {
    let open = |bytes: &[u8]| crypt().open(Class::Head, "n", bytes).unwrap_err();
    assert_eq!(open(b"{}"), SealError::NotSealed);
    assert_eq!(open(&[b'{'; 100]), SealError::NotSealed);
    let mut newer = crypt().seal(Class::Head, "n", b"{}").unwrap();
    newer[8] = 2;
    assert_eq!(open(&newer), SealError::UnknownFormat(2));
}

#[test]
fn keys_are_random_and_not_printed() {
    let key = MasterKey::generate().unwrap();
    assert_ne!(key, MasterKey::generate().unwrap());
    let crypt = Crypt::new(MasterKey::from_bytes(&[0xab; 32]));
    let file = crypt.seal(Class::Head, "", b"").unwrap();
    let seal = crypt.seal_of(Class::Head, "", file.first_chunk().unwrap());
    assert_eq!(
        format!("{crypt:?} {:?}", seal.unwrap()),
        "Crypt(MasterKey(***)) Seal(***)"
    );
}
