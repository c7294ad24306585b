{{ config(
    incremental_strategy='renew',
    unique_key=['loan_hk', 'snapshot_kind', 'snapshot_date'],
    meta={'affected_key': 'loan_hk'},
    pre_hook=[
        "{{ note_affected(affected_loans(payments=false, dated=true)) }}",
        "{{ delete_other_snapshots(ref('snapshot_calendar')) }}",
    ],
    indexes=[
        {'columns': ['loan_hk', 'snapshot_kind', 'snapshot_date'], 'unique': true},
        {'columns': ['snapshot_kind', 'snapshot_date']},
        {'columns': ['snapshot_date']},
    ],
) }}

{{ with_affected('loan_hk') }}
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},
sat_loan as {{ rows_of(ref('sat_loan')) }},
sat_product as {{ rows_of(ref('sat_product')) }},
link_loan as {{ rows_of(ref('link_loan')) }},
parameters_in_force as {{ rows_of(ref('parameters_in_force')) }},

{% if is_incremental() %}missing as (
    {{ new_snapshots('snapshot_calendar') }}
),

{% endif %}disbursed as (
    select m.loan_hk, min(m.effective_on) as disbursed_on
    from loan_movement as m
    where m.effect = 'disbursement'
    {%- if is_incremental() %}
    and m.loan_hk in (select a.loan_hk from affected as a)
    {%- endif %}
    group by m.loan_hk
),

wanted as (
    select d.loan_hk, c.snapshot_kind, c.snapshot_date
    from disbursed as d
    inner join snapshot_calendar as c on c.snapshot_date >= d.disbursed_on
    {%- if is_incremental() %}
    union
    -- A new day is one of every loan; without one they are not looked at.
    select m.loan_hk, n.snapshot_kind, n.snapshot_date
    from loan_movement as m
    inner join missing as n on n.snapshot_date >= m.effective_on
    where m.effect = 'disbursement' and exists (select 1 from missing)
    {%- endif %}
),

loans as (
    {{ history_of('sat_loan', 'loan', 's.loan_hk in (select w.loan_hk from wanted as w)') }}
),

products as (
    {{ history_of('sat_product', 'product') }}
),

current_links as (
    select s.loan_hk, l.product_hk, l.application_hk, l.party_hk
    from loans as s
    inner join link_loan as l on l.link_hk = s.link_hk
    -- Not as equalities, which the planner takes for rare: almost every loan has such a row.
    where s.is_current <> 0 and s.is_deleted <> 1
),

final as (
    select
        w.loan_hk,
        w.snapshot_kind,
        w.snapshot_date,
        c.application_hk,
        c.party_hk,
        c.product_hk,
        l.position_major as loan_position_major,
        l.position_minor as loan_position_minor,
        coalesce(p.position_major, 0) as product_position_major,
        coalesce(p.position_minor, 0) as product_position_minor,
        coalesce(f.product_parameters_hk, {{ ghost_key() }}) as product_parameters_hk,
        coalesce(f.position_major, 0) as parameters_position_major,
        coalesce(f.position_minor, 0) as parameters_position_minor
    from wanted as w
    inner join current_links as c on c.loan_hk = w.loan_hk
    inner join loans as l
        on l.loan_hk = w.loan_hk
        and {{ business_date('l.valid_from') }} <= w.snapshot_date
        and {{ business_date('l.valid_to') }} > w.snapshot_date
    left join products as p
        on p.product_hk = c.product_hk
        and {{ business_date('p.valid_from') }} <= w.snapshot_date
        and {{ business_date('p.valid_to') }} > w.snapshot_date
    left join parameters_in_force as f
        on f.product_hk = c.product_hk and f.valid_from <= w.snapshot_date and f.valid_to > w.snapshot_date
)

select * from final
